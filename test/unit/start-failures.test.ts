import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startAdvice } from '../../src/engine/docker/start-failures.js'

/** Recorded from Debian's 20.10.24 and from 29.4.0, which say the same where nothing else is said. */
const ROWS: readonly (readonly [what: string, said: string, advice: RegExp])[] = [
  ['no CMD, 20.10', 'No command specified', /^\. The image has neither CMD nor ENTRYPOINT/],
  ['no CMD, 29', 'no command specified', /neither CMD nor ENTRYPOINT/],
  [
    'CRLF in a #!',
    '[FATAL tini (6)] exec /a.sh failed: No such file or directory',
    /^\. The image has no \/a\.sh, or its first line.*CRLF/,
  ],
  ['CRLF in a #! with an argument', 'sh\r: applet not found', /Windows line endings/],
  ['CRLF in a #! of env', "env: can't execute 'sh\r': No such file or directory", /Windows line endings/],
  ['CRLF in a script, busybox', '/a.sh: set: line 1: illegal option -\r', /Windows line endings/],
  ['CRLF in a script, bash', "./a.sh: line 2: $'\\r': command not found", /Windows line endings/],
  ['a script that a shell does not find', 'sh: /a.sh: not found', /no \/a\.sh, or its first line/],
  ['a program that a shell does not find', '/bin/sh: 1: gunicorn: not found', /no program "gunicorn"/],
  ['no program', '[FATAL tini (7)] exec nope failed: No such file or directory', /no program "nope"/],
  [
    'no shell',
    '[FATAL tini (7)] exec /bin/sh failed: No such file or directory',
    /no \/bin\/sh, as "scratch"/,
  ],
  ['not executable', '[FATAL tini (8)] exec /a.sh failed: Permission denied', /\/a\.sh may not be executed/],
  ['not executable, by a shell', 'sh: /a.sh: Permission denied', /\/a\.sh may not be executed/],
  ['no user', 'unable to find user nobody2: no matching entries in passwd file', /no user nobody2/],
  ['its own words', 'Error: Cannot find module "x"', /^$/],
]

describe('what to do about a container that does not begin', () => {
  for (const [what, said, advice] of ROWS) {
    test(what, () => assert.match(startAdvice('starting', said), advice))
  }
})
