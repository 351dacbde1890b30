import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DeployError, OutageError } from '../../src/engine/errors.js'
import { createGitBinary, type GitBinaryOptions } from '../../src/engine/git/git-binary.js'
import type { FetchRequest } from '../../src/engine/git/git.js'
import { retryOutages } from '../../src/engine/steps/retry-outages.js'
import { GitServers, missingGitServers } from '../support/git-servers.js'
import { TestRepository } from '../support/repository.js'
import { until } from '../support/server.js'
import { TcpRelay } from '../support/tcp-relay.js'

const NEVER = new AbortController().signal
const LARGE = 2_000_000
/** What two connections with TLS or SSH take beside the objects, with room. */
const KILOBYTES = 20_000

describe('what a fetch transfers', { skip: missingGitServers() }, () => {
  let servers: GitServers
  let dataDir = ''
  let undo = () => undefined as unknown

  before(async () => {
    servers = await GitServers.start()
    dataDir = mkdtempSync(join(tmpdir(), 'longshore-transfers-'))
    undo = servers.asAccount()
  })
  after(async () => {
    undo()
    await servers[Symbol.asyncDispose]()
    rmSync(dataDir, { recursive: true, force: true })
  })

  const port = (options: Partial<GitBinaryOptions> = {}) =>
    createGitBinary({
      dataDir,
      allowFileRepos: false,
      timeoutMs: 300_000,
      maxRepoBytes: 1024 ** 3,
      ...options,
    })
  const request = (
    repoUrl: string,
    deploymentId: string,
    more: Partial<FetchRequest> = {},
  ): FetchRequest => ({
    ...{ repoUrl, credential: null, ref: null, deploymentId, onProgress: () => undefined },
    ...more,
  })
  const large = (name: string) =>
    new TestRepository(
      { 'large.txt': randomBytes(LARGE / 2).toString('hex'), 'a.txt': 'one' },
      join(servers.root, name),
    )
  /** A server of each protocol, behind a relay. */
  const reach = async (protocol: 'HTTPS' | 'SSH') => {
    const relay = await TcpRelay.start(protocol === 'HTTPS' ? servers.ports.https : servers.ports.ssh)
    servers.know(relay.port)
    const urlOf = (name: string) =>
      protocol === 'HTTPS' ? servers.httpsUrl(name, relay.port) : servers.sshUrl(name, relay.port)
    return { relay, urlOf }
  }

  for (const protocol of ['HTTPS', 'SSH'] as const) {
    test(`over ${protocol}: a repeated fetch brings what is new`, async () => {
      const { relay, urlOf } = await reach(protocol)
      await using _relay = relay
      const repository = large(`repeated-${protocol}`)
      const url = urlOf(`repeated-${protocol}`)
      const git = port()
      const fetch = (deploymentId: string, ref: string | null = null) =>
        relay.during(() => git.fetch(request(url, deploymentId, { ref }), NEVER))

      const first = await fetch('first')
      assert.ok(first > LARGE / 2, `${first} bytes of the first`)
      const unchanged = await fetch('unchanged')
      assert.ok(unchanged < KILOBYTES, `${unchanged} bytes of an unchanged commit`)

      await git.sweep(() => Promise.resolve(new Set(['unchanged'])))
      const text = `${randomBytes(LARGE / 2).toString('hex')}\n`
      repository.commit({ 'more.txt': text })
      repository.commit({ 'a.txt': 'two' })
      const grown = await fetch('grown')
      assert.ok(grown > LARGE / 2, `${grown} bytes of a commit with a large file more`)
      const commit = repository.commit({ 'more.txt': `${text}one line\n` })
      const changed = await fetch('changed')
      assert.ok(changed < KILOBYTES, `${changed} bytes of a changed line of a large file`)

      // Another deployment asks the server, which may say no; another attempt of the same one has had its answer.
      const again = await fetch('again', commit)
      assert.ok(again > 0 && again < KILOBYTES, `${again} bytes of a commit by its id`)
      assert.equal(await fetch('again', commit), 0)
    })

    test(`over ${protocol}: a connection that breaks in the middle is an outage, and the next attempt goes on`, async () => {
      const { relay, urlOf } = await reach(protocol)
      await using _relay = relay
      large(`cut-${protocol}`)
      const url = urlOf(`cut-${protocol}`)
      relay.cutAfter(500_000)
      const failures: string[] = []
      const source = await retryOutages(() => port().fetch(request(url, 'cut'), NEVER), {
        forMs: 60_000,
        onRetry: ({ reason }) => failures.push(reason),
        signal: NEVER,
      })
      assert.equal(await source.read('a.txt', NEVER), 'one')
      assert.equal(failures.length, 1)
      assert.match(failures[0] ?? '', /the connection ended in the middle: /)
      assert.doesNotMatch(failures[0] ?? '', /Could not read from remote|expected 'packfile'|early EOF$/)
    })
  }

  /** Packs are prepared for as long as the gate is closed; the server says each second that it is at work, or not. */
  const preparing = (name: string, keepAlive: number) => {
    large(name)
    const gate = join(servers.folder, `${name}-gate`)
    const hook = join(servers.folder, `${name}-hook`)
    writeFileSync(hook, `#!/bin/sh\nuntil test -e ${gate}; do sleep 0.1; done\nexec "$@"\n`, { mode: 0o755 })
    servers.backend.config = { 'uploadpack.packObjectsHook': hook, 'uploadpack.keepAlive': String(keepAlive) }
    return { url: servers.httpsUrl(name), open: () => writeFileSync(gate, ''), gate }
  }

  test('a server that says that it still prepares its pack is waited for, beyond the bound of silence', async () => {
    const { url, open } = preparing('heartbeats', 1)
    const silences: number[] = []
    setTimeout(open, 8_000)
    const onSilence = (silentMs: number) => void silences.push(silentMs)
    const source = await port({ silenceMs: 5_000 }).fetch(request(url, 'slow', { onSilence }), NEVER)
    assert.equal(await source.read('a.txt', NEVER), 'one')
    assert.ok(silences.every((silentMs) => silentMs < 5_000))
  })

  test('a server that says nothing is told of, then given up, with both bounds', async () => {
    const { url, gate } = preparing('silent', 0)
    const told: number[][] = []
    const onSilence = (...times: number[]) => void told.push(times)
    const asked = port({ silenceMs: 2_000 }).fetch(request(url, 'silent', { onSilence }), NEVER)
    await assert.rejects(asked, (error) => {
      assert.ok(error instanceof OutageError)
      assert.equal(error.code, 'CLONE_TIMEOUT')
      assert.equal(
        error.message,
        'the server sent nothing for 2 s (FETCH_SILENCE_TIMEOUT; a whole fetch may take 300 s, CLONE_TIMEOUT)',
      )
      return true
    })
    assert.equal(told.length, 1)
    assert.ok((told[0]?.[0] ?? 0) >= 1_000 && told[0]?.[1] === 2_000, String(told))

    // Whoever is asked to stop meanwhile does.
    const stopping = new AbortController()
    const stopped = assert.rejects(port().fetch(request(url, 'stopped'), stopping.signal), /^Error: stop$/)
    await until(() => servers.backend.running > 0)
    stopping.abort(new Error('stop'))
    await stopped
    assert.ok(!existsSync(gate))
    servers.backend.config = {}
  })

  test('a fetch that takes too long says both bounds, and is no outage', async () => {
    const { url } = preparing('long', 1)
    await assert.rejects(port({ timeoutMs: 1_500 }).fetch(request(url, 'long'), NEVER), (error) => {
      assert.ok(error instanceof DeployError)
      assert.match(
        error.message,
        /within 1\.5 s \(CLONE_TIMEOUT; .*nothing for 120 s .*FETCH_SILENCE_TIMEOUT\)$/,
      )
      return true
    })
    servers.backend.config = {}
  })

  test('asking for refs has the same bounds', async () => {
    servers.backend.before = () => true
    try {
      const remote = { repoUrl: servers.httpsUrl('repeated-HTTPS'), credential: null }
      await assert.rejects(port({ silenceMs: 1_000 }).listRefs(remote, NEVER), { code: 'CLONE_TIMEOUT' })
    } finally {
      servers.backend.before = () => false
    }
  })
})
