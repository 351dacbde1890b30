import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { containerNames, docker, ENGINE_HOST, imageNames } from '../support/docker.js'

const ROOT = join(import.meta.dirname, '../../..')

test('the quickstart ends with a page that answers, and stops what it started', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longshore-quickstart-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, [join(ROOT, 'scripts/quickstart.mjs'), '--once'], {
    env: { PATH, HOME, CI: 'true', DATA_DIR: dataDir, DOCKER_HOST: ENGINE_HOST },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill())
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')))
  }
  const [exitCode] = (await once(child, 'close')) as [number | null]
  await removeApp(/Started (hello-\w{12})/.exec(said)?.[1])
  assert.equal(exitCode, 0, said)
  assert.match(said, /Your app answers: 200 "[^"]+" \([\d.]+ s from the start\)/)
  assert.match(said, /Token {5}\S{20}[^]*Longshore has stopped/)
})

/** It goes on running, as it would for a user. */
async function removeApp(container: string | undefined): Promise<void> {
  if (container === undefined) return
  const label = 'longshore.instance'
  const id = docker('inspect', '--format', `{{index .Config.Labels "${label}"}}`, container).trim()
  docker('rm', '-f', '-v', ...(await containerNames(`${label}=${id}`)))
  docker('rmi', '-f', ...(await imageNames(`${label}=${id}`)))
}
