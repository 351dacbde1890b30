import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DeployError, InfrastructureError, OutageError } from '../../src/engine/errors.js'
import { fetchError } from '../../src/engine/git/fetch-error.js'

const URL = 'https://git.example/x.git'
const ACCESS = `fatal: unable to access '${URL}/': `

function errorOf(stderr: string, exitCode: number | null = 128) {
  const signal = exitCode === null ? ('SIGKILL' as const) : null
  return fetchError({ repoUrl: URL, ref: 'main' }, { exitCode, signal, stdout: '', stderr })
}

describe('a fetch that fails', () => {
  const passing = [
    `${ACCESS}Could not resolve host: git.example`,
    `${ACCESS}Failed to connect to git.example port 443 after 2 ms: Couldn't connect to server`,
    `${ACCESS}Connection timed out after 300 milliseconds`,
    `${ACCESS}Recv failure: Connection reset by peer`,
    `${ACCESS}The requested URL returned error: 503`,
    'error: RPC failed; HTTP 502 curl 22\nfatal: expected flush after ref listing',
    'error: RPC failed; curl 92 HTTP/2 stream 0\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output',
    'ssh: Could not resolve hostname git.example: Name or service not known\nfatal: Could not read from remote repository.',
    'ssh: connect to host git.example port 22: Connection refused\nfatal: Could not read from remote repository.',
  ]
  for (const stderr of passing) {
    test(`is tried again, and keeps git's words: ${stderr.slice(0, 90)}`, () => {
      const error = errorOf(stderr)
      assert.ok(error instanceof OutageError)
      assert.equal(error.code, 'CLONE_FAILED')
      assert.match(
        error.message,
        /^git could not fetch https:\/\/git\.example\/x\.git: .*: (fatal|error|ssh): /,
      )
      assert.ok(error.cause instanceof DeployError)
      assert.deepEqual(error.cause.lastLines, stderr.split('\n'))
    })
  }

  test('is tried again when git was killed', () => {
    const error = errorOf('Receiving objects: 10%', null)
    assert.ok(error instanceof InfrastructureError)
    assert.match(error.message, /killed by SIGKILL/)
    assert.ok(!(error instanceof OutageError))
  })

  test('and what this machine lacks is nothing that the server gets over', () => {
    const error = errorOf('fatal: write error: No space left on device\nfatal: early EOF')
    assert.ok(error instanceof InfrastructureError && !(error instanceof OutageError))
    assert.match(error.message, /No space left on device$/)
  })

  const final: readonly [stderr: string, code: string][] = [
    [`remote: Repository not found.\nfatal: repository '${URL}/' not found`, 'REPO_NOT_FOUND'],
    [`fatal: could not read Username for 'https://git.example': terminal prompts disabled`, 'REPO_NOT_FOUND'],
    [`fatal: couldn't find remote ref refs/heads/main`, 'REF_NOT_FOUND'],
    [`${ACCESS}The requested URL returned error: 403`, 'REPO_NOT_FOUND'],
    [`fatal: Authentication failed for '${URL}/'`, 'REPO_NOT_FOUND'],
    [`${ACCESS}SSL certificate problem: self-signed certificate`, 'CLONE_FAILED'],
    [
      'git@git.example: Permission denied (publickey).\nfatal: Could not read from remote repository.',
      'REPO_NOT_FOUND',
    ],
    [
      'Host key verification failed.\nfatal: Could not read from remote repository.\nThe remote end hung up unexpectedly',
      'CLONE_FAILED',
    ],
    [
      'fatal: empty filename in tree entry\nremote: aborting due to possible repository corruption on the remote side.\nfatal: early EOF',
      'CLONE_FAILED',
    ],
  ]
  for (const [stderr, code] of final) {
    test(`is final: ${stderr.slice(0, 90)}`, () => {
      const error = errorOf(stderr)
      assert.ok(error instanceof DeployError)
      assert.equal(error.code, code)
    })
  }
})
