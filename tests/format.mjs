// format - does each file keep to what .editorconfig says of it? Prints what does not, as FILE:LINE: what. tests/lint runs it.
//
//   node tests/format.mjs FILE...
//
// indent_size is what editors insert; continued lines stand where they read best, so it is not looked for.

import { readFileSync } from 'node:fs';
import { parseSync } from 'editorconfig';

/** What is wrong with a LINE (without its end), by the properties P; an empty list: nothing. */
function faultsOfLine(line, p) {
    const found = [];
    const length = [...line].length;
    if (p.max_line_length > 0 && length > p.max_line_length)
        found.push(`${length} characters, of at most ${p.max_line_length}`);
    if (p.trim_trailing_whitespace === true && /[ \t]$/.test(line))
        found.push('space at its end');
    if (p.indent_style === 'space' && /^ *\t/.test(line))
        found.push('a tab in its indentation');
    if (p.indent_style === 'tab' && /^ {8}/.test(line))
        found.push('spaces for a tab in its indentation');
    return found;
}

/** What is wrong with the whole TEXT. */
function faultsOfText(text, p) {
    const found = [];
    if (p.charset === 'utf-8' && text.includes('\ufffd'))
        found.push('no UTF-8');
    if (p.charset === 'utf-8' && text.startsWith('\ufeff'))
        found.push('a byte order mark');
    if (p.end_of_line === 'lf' && text.includes('\r'))
        found.push('lines that end in CR');
    if (p.insert_final_newline === true && text !== '' && !text.endsWith('\n'))
        found.push('no newline at its end');
    return found;
}

let faults = 0;

function say(where, what) {
    console.log(`${where}: ${what}`);
    faults++;
}

for (const file of process.argv.slice(2)) {
    const p = parseSync(file);
    const text = readFileSync(file, 'utf8');
    faultsOfText(text, p).forEach((what) => say(file, what));
    text.split('\n').forEach((line, i) => faultsOfLine(line, p).forEach((what) => say(`${file}:${i + 1}`, what)));
}
process.exitCode = faults === 0 ? 0 : 1;
