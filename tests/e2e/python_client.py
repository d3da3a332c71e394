"""A python-socketio client on strings: what to do comes as JSON lines on standard input, what happens goes out as JSON lines.

    python_client.py URL

    in:   ["emit", name, [arguments]]      out:  ["event", name, [arguments]]
          ["call", name, [arguments]]            ["ack", value]
          ["disconnect"]                         ["connect", id], ["disconnect"]

Bytes stand as {"$hex": "..."}.
"""
import json
import sys
import threading

import socketio

lock = threading.Lock()


def pack(value):
    if isinstance(value, bytes):
        return {'$hex': value.hex()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    return value


def unpack(value):
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict):
        if '$hex' in value:
            return bytes.fromhex(value['$hex'])
        return {key: unpack(item) for key, item in value.items()}
    return value


def say(*what):
    with lock:
        print(json.dumps(pack(list(what))), flush=True)


def main():
    client = socketio.Client(reconnection=False)
    client.on('connect', lambda: say('connect', client.get_sid()))
    client.on('disconnect', lambda: say('disconnect'))
    client.on('*', lambda name, *arguments: say('event', name, arguments))
    client.connect(sys.argv[1], transports=['polling'])
    for line in sys.stdin:
        what, *rest = json.loads(line)
        if what == 'disconnect':
            client.disconnect()
            break
        name, arguments = rest[0], tuple(unpack(rest[1]))
        if what == 'call':
            say('ack', client.call(name, arguments))
        else:
            client.emit(name, arguments)
    client.disconnect()


main()
