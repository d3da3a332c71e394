// What eslint looks for in our JavaScript: faults, not looks. No rule is turned off for a whole file; a line that must be
// as it is says so beside it, with the reason ("eslint-disable-next-line RULE -- why").

import js from '@eslint/js';
import globals from 'globals';

const rules = {
    ...js.configs.recommended.rules,
    'array-callback-return': 'error',
    'default-case-last': 'error',
    eqeqeq: ['error', 'always', { null: 'ignore' }],    // "== null" is the short way to say null or undefined
    'no-constructor-return': 'error',
    'no-implicit-globals': 'error',
    'no-self-compare': 'error',
    'no-shadow': ['error', { hoist: 'all' }],
    'no-throw-literal': 'error',
    'no-unused-expressions': 'error',
    'no-unused-vars': ['error', { ignoreRestSiblings: true }],
    'no-useless-assignment': 'error',
    'no-var': 'error',
    'prefer-const': 'error',
};

export default [
    {
        files: ['**/*.js', '**/*.mjs'],
        rules,
        linterOptions: { reportUnusedDisableDirectives: 'error' },
    },
    { files: ['htdocs/**'], languageOptions: { globals: globals.browser } },
    { files: ['htdocs/socket.io/socket.io.js'], languageOptions: { sourceType: 'script', globals: { module: 'readonly' } } },
    { files: ['bench/**', 'tests/**'], languageOptions: { globals: globals.nodeBuiltin } },
];
