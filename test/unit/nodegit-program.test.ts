import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { Fatal } from '../../src/engine/git/nodegit/command.js'
import { inGitsWords } from '../../src/engine/git/nodegit/git-words.js'
import { readInvocation } from '../../src/engine/git/nodegit/invocation.js'
import { padding, tarEnd, tarHeader } from '../../src/engine/git/nodegit/tar-header.js'
import { entriesIn } from '../../src/engine/git/nodegit/tree-object.js'
import { invalidTree } from '../../src/engine/git/tree-entries.js'

const ID = Buffer.alloc(20, 0xab)
const entry = (mode: string, name: string) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), ID])

describe('what runs in the place of git', () => {
  test('reads arguments as git does', () => {
    const args = ['-c', 'gc.auto=0', '-C', '/m.git', '--literal-pathspecs', 'ls-tree', '-z', 'x', '--', '-r']
    const { folder, settings, command, options, operands } = readInvocation(args)
    assert.deepEqual(
      { folder, settings: [...settings], command, options, operands },
      {
        folder: '/m.git',
        settings: [['gc.auto', '0']],
        command: 'ls-tree',
        options: ['-z'],
        operands: ['x', '-r'],
      },
    )
  })

  test('reads trees, with the modes that git takes them for', () => {
    const modes = ['100644', '100664', '100755', '120000', '40000', '160000']
    const entries = entriesIn(Buffer.concat(modes.map((mode, index) => entry(mode, `n${index}`))))
    assert.deepEqual(
      entries.map(({ mode, type, name }) => [mode, type, name.toString()]),
      [
        ['100644', 'blob', 'n0'],
        ['100644', 'blob', 'n1'],
        ['100755', 'blob', 'n2'],
        ['120000', 'blob', 'n3'],
        ['040000', 'tree', 'n4'],
        ['160000', 'commit', 'n5'],
      ],
    )
    assert.ok(entries.every(({ id }) => id === 'ab'.repeat(20)))
  })

  test('says of a broken tree what git says, so that it is the user’s to mend', () => {
    const broken: readonly [Buffer, RegExp][] = [
      [entry('10x644', 'a'), /malformed mode/],
      [entry('', 'a'), /malformed mode/],
      [entry('100644', ''), /empty filename/],
      [entry('100644', 'a').subarray(0, 20), /too-short tree/],
      [Buffer.from('100644 a'), /too-short tree/],
    ]
    for (const [tree, said] of broken) {
      assert.throws(
        () => entriesIn(tree),
        (error: Error) => said.test(error.message) && invalidTree(error.message)?.code === 'REPO_INVALID',
      )
    }
  })

  test('writes tars with paths and links of any length', () => {
    const path = `${'d/'.repeat(120)}é`
    const target = 't'.repeat(300)
    const about = { mode: 0o644, size: 5, modifiedAt: 1_700_000_000 }
    const tar = Buffer.concat([
      tarHeader({ ...about, type: 'file', path: Buffer.from(path) }),
      Buffer.from('hello'),
      padding(5),
      tarHeader({ ...about, type: 'link', size: 0, path: Buffer.from('l'), target: Buffer.from(target) }),
      tarHeader({ ...about, type: 'folder', size: 0, mode: 0o755, path: Buffer.from('empty/') }),
      tarEnd(),
    ])
    const run = (...args: string[]) => execFileSync('tar', args, { input: tar, encoding: 'utf8' })
    const listed = run('-tv', '--quoting-style=literal').trim().split('\n')
    assert.match(listed[0] ?? '', new RegExp(`^-rw-r--r-- root/root +5 .* ${path}$`))
    assert.match(listed[1] ?? '', new RegExp(`^l.* l -> ${target}$`))
    assert.match(listed[2] ?? '', /^drwxr-xr-x .* empty\/$/)
    assert.equal(run('-xO', '--', path), 'hello')
  })

  test('says what went wrong with a remote in git’s words', () => {
    const url = 'https://git.example.com/x.git'
    for (const [said, words] of [
      ['unexpected http status code: 404', /^repository '.*' not found$/],
      ['unexpected http status code: 503', /returned error: 503$/],
      [
        'remote authentication required but no callback set',
        /could not read Username for 'https:\/\/git\.example\.com'/,
      ],
      [
        'failed to resolve address for git.example.com: Name or service not known',
        /Could not resolve host: git/,
      ],
      [
        'failed to connect to git.example.com: Connection refused',
        /Failed to connect to .*: Connection refused$/,
      ],
      ['the SSL certificate is invalid', /SSL certificate problem/],
      ["failed to resolve path '/x': No such file or directory", /does not appear to be a git repository$/],
      ['early EOF', /^early EOF$/],
      ['invalid or unknown remote ssh hostkey', /^Could not read from remote repository\.$/],
      ['Method connect has thrown an error.', /^Authentication failed for 'https:/],
    ] as const) {
      assert.match(inGitsWords(new Error(said), url).message, words)
    }
    const refused = inGitsWords(
      new Error('Method connect has thrown an error.'),
      'ssh://git@git.example.com/x.git',
    )
    assert.match(
      refused instanceof Fatal ? refused.lines : '',
      /^git@git\.example\.com: Permission denied \(publickey\)/,
    )
  })
})
