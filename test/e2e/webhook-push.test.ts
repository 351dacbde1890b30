import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { graphql, readDeployment } from '../support/client.js'
import { github, githubBody } from '../support/forges.js'
import { TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'
import { HookedApp } from '../support/webhooks.js'

const HOOK = new URL('../../../examples/post-receive', import.meta.url)

/** A bare repository as it stands on a server, with a post-receive hook, and a clone that is pushed from. */
describe('a git push to a bare repository whose hook calls the webhook', () => {
  let installation: Installation
  let bare = ''
  let clone: TestRepository
  let app: HookedApp

  before(async () => {
    installation = await Installation.create()
    await installation.start()
    bare = mkdtempSync(join(tmpdir(), 'longshore-bare-'))
    execFileSync('git', ['init', '--quiet', '--bare', '-b', 'main', bare])
    clone = new TestRepository(webApp('first'))
    clone.git('remote', 'add', 'origin', `file://${bare}`)
    app = await HookedApp.create(installation.port, 'pushed', { repoUrl: `file://${bare}` })
    const hook = join(bare, 'hooks/post-receive')
    copyFileSync(HOOK, hook)
    chmodSync(hook, 0o755)
    for (const [name, value] of [
      ['url', app.url],
      ['secret', app.secret],
    ] as const) {
      execFileSync('git', ['-C', bare, 'config', `longshore.${name}`, value])
    }
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    clone[Symbol.dispose]()
    rmSync(bare, { recursive: true, force: true })
  })

  /** Waits for the newest deployment to serve. */
  async function serving(commit: string): Promise<void> {
    const found = await until(async () => {
      const [entry] = await app.log()
      return entry?.commitSha === commit ? entry.deployments[0] : null
    })
    await until(async () => {
      const { status, error } = await readDeployment(installation.port, found.id)
      assert.equal(error, null)
      return status === 'RUNNING'
    })
  }

  test('deploys the pushed commit', async () => {
    clone.git('push', '--quiet', 'origin', 'main')
    await serving(clone.git('rev-parse', 'HEAD'))
    assert.equal((await installation.fetch('pushed.localhost')).body, 'first')
    const query = 'query ($id: ID!) { app(id: $id) { deployments { nodes { trigger ref } } } }'
    const found = await graphql(installation.port, query, { id: app.id })
    assert.deepEqual(found, { app: { deployments: { nodes: [{ trigger: 'WEBHOOK', ref: 'main' }] } } })
  })

  test('deploys that commit and not the branch’s newest, which came meanwhile', async () => {
    const second = clone.commit({ 'www/index.html': 'second' })
    const third = clone.commit({ 'www/index.html': 'third' })
    rmSync(join(bare, 'hooks/post-receive'))
    clone.git('push', '--quiet', 'origin', 'main')
    const body = githubBody({ ref: 'refs/heads/main', after: second })
    await app.send(github(app.secret, body))
    await serving(second)
    assert.notEqual(second, third)
    assert.equal((await installation.fetch('pushed.localhost')).body, 'second')
  })
})
