import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { ENGINE_HOST } from '../support/docker.js'
import { DOCKER_19, PODMAN_4, StandInEngine } from '../support/stand-in-engine.js'

const run = promisify(execFile)
const MODULE = new URL('../../../scripts/lib/docker-engine.mjs', import.meta.url).href

/** What the quickstart and the tests get to hear of the engine, and where it is for what they start. */
async function ensured(env: Readonly<Record<string, string>>): Promise<string> {
  const script = `
    import { ensureDockerEngine } from ${JSON.stringify(MODULE)}
    const answer = await ensureDockerEngine().catch((error) => 'error: ' + error.message)
    process.stdout.write(answer + '\\n' + process.env.DOCKER_HOST)`
  const { PATH = '' } = process.env
  const args = ['--input-type=module', '--eval', script]
  return (await run(process.execPath, args, { env: { PATH, HOME: '/nonexistent', ...env } })).stdout
}

describe('the quickstart and the tests', () => {
  test('say of an engine that cannot be used what a worker says, and what named it', async () => {
    await using old = await StandInEngine.start({ body: DOCKER_19 })
    const said = await ensured({ DOCKER_HOST: old.host })
    assert.match(said, /^error: the Docker engine is too old: it is Docker 19\.03\.15 \(API 1\.40\)/)
    assert.ok(said.includes(`(${old.host}: DOCKER_HOST)`), said)
    await using podman = await StandInEngine.start({ body: PODMAN_4 })
    const without = await ensured({ DOCKER_HOST: podman.host, BUILDER: 'BuildKit' })
    assert.match(without, /^error: the Docker engine has no BuildKit: it is Podman/)
    assert.match(await ensured({ DOCKER_HOST: podman.host }), /^4\.3\.1\n/)
    assert.match(
      await ensured({ DOCKER_HOST: 'docker.sock' }),
      /^error: DOCKER_HOST: "docker\.sock" is not unix/,
    )
  })

  test('install none where one was named and is away', async () => {
    const said = await ensured({ DOCKER_HOST: 'unix:///nonexistent/docker.sock', CI: 'true' })
    assert.match(
      said,
      /^error: the Docker engine does not answer: there is no socket \/nonexistent\/docker\.sock\./,
    )
  })

  test('take the engine of the current context, and so does all that they start', async () => {
    const home = mkdtempSync(join(tmpdir(), 'longshore-home-'))
    const folder = join(home, 'contexts/meta', createHash('sha256').update('mine').digest('hex'))
    mkdirSync(folder, { recursive: true })
    const meta = { Name: 'mine', Endpoints: { docker: { Host: ENGINE_HOST } } }
    writeFileSync(join(folder, 'meta.json'), JSON.stringify(meta))
    const env = { DOCKER_CONFIG: home, DOCKER_CONTEXT: 'mine' }
    const [version = '', host] = (await ensured(env)).split('\n')
    assert.match(version, /^\d+\.\d+/)
    assert.equal(host, ENGINE_HOST)
    rmSync(home, { recursive: true })
  })
})
