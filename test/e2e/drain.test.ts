import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readDeployment } from '../support/client.js'
import { docker, isRunning } from '../support/docker.js'
import { GATE, openGate } from '../support/gate.js'
import { Installation, until } from '../support/server.js'
import { QUICK, scripted, SERVE, serving, STUBBORN } from '../support/serving.js'
import { visit } from '../support/visit.js'

const DRAIN_SECONDS = 20
const SLOW = '/cgi-bin/slow'

/** Serves `page`, and at {@link SLOW} answers only when the gate is open. */
function patient(page: string): Record<string, string> {
  const slow = `#!/bin/sh
busybox touch /begun
${GATE}
printf "Content-Type: text/plain\\r\\n\\r\\n%s" "slow ${page}"
`
  return {
    ...scripted(`busybox chmod +x /www${SLOW}; ${SERVE}`, page),
    [`www${SLOW}`]: slow,
    'www/well': 'yes',
  }
}

const inside = (container: string, ...command: string[]) =>
  docker('exec', container, '/bin/busybox', ...command)

function exists(container: string, path: string): boolean {
  try {
    inside(container, 'test', '-e', path)
    return true
  } catch {
    return false
  }
}

describe('drains', { concurrency: true }, () => {
  let installation: Installation

  before(async () => {
    installation = await Installation.create()
    const env = { WATCH_SECONDS: '10', DRAIN_SECONDS: String(DRAIN_SECONDS), ENGINE_CONCURRENCY: '3' }
    await installation.start(env)
  })
  after(() => installation[Symbol.asyncDispose]())

  const page = async (app: string) => (await installation.fetch(`${app}.localhost`)).body
  const containersOf = async (app: string) =>
    (await installation.containers()).filter((name) => name.startsWith(`${app}-`))
  const statusOf = async (id: string) => (await readDeployment(installation.port, id)).status
  const soon = (condition: () => boolean | Promise<boolean>) => until(condition, 100)
  /** Begins a request that is under way in the container of `deployment` when this resolves. */
  const ask = async (app: string, deployment: string) => {
    let ended = false
    const answer = installation
      .fetch(`${app}.localhost`, SLOW)
      .catch((error: unknown) => error as Error)
      .finally(() => (ended = true))
    await soon(() => exists(`${app}-${deployment}`, '/begun'))
    return { answer, hasEnded: () => ended }
  }

  test('what ignores SIGTERM is killed after its grace time, and nobody waits for it', async () => {
    await using app = await serving(installation, 'stubborn', scripted(STUBBORN, 'old'))
    await using seen = visit(installation.routerPort, 'stubborn.localhost')
    const next = await app.next(scripted(SERVE, 'new'))
    assert.equal(next.end, 'RUNNING', next.log)
    await soon(async () => (await page('stubborn')) === 'new')
    assert.ok(await isRunning(`stubborn-${app.first}`))
    await soon(async () => (await containersOf('stubborn')).length === 1)
    assert.equal(await statusOf(app.first), 'RETIRED')
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['old', 'new'])
  })

  test('the old container was removed by hand while a request was under way', async () => {
    await using app = await serving(installation, 'removed', patient('old'))
    await using seen = visit(installation.routerPort, 'removed.localhost')
    const { answer } = await ask('removed', app.first)
    const next = await app.next(scripted(SERVE, 'new'))
    assert.equal(next.end, 'RUNNING', next.log)
    assert.ok(await isRunning(`removed-${app.first}`), 'it drains')
    docker('rm', '-f', `removed-${app.first}`)
    assert.ok(await answer)
    assert.equal(await page('removed'), 'new')
    assert.deepEqual(await containersOf('removed'), [`removed-${next.id}`])
    assert.deepEqual([await statusOf(app.first), await statusOf(next.id)], ['RETIRED', 'RUNNING'])
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['old', 'new'])
  })

  test('what a version is answering when it is rolled back, it answers to the end', async () => {
    const health = { ...QUICK, path: '/well', intervalSeconds: 1 }
    await using app = await serving(installation, 'patient', patient('old'), health)
    const next = await app.next(patient('new'))
    assert.equal(next.end, 'RUNNING', next.log)
    await soon(async () => (await page('patient')) === 'new')
    const { answer, hasEnded } = await ask('patient', next.id)
    const failed = `patient-${next.id}`
    inside(failed, 'rm', '/www/well')
    await soon(async () => (await statusOf(next.id)) === 'ROLLED_BACK')
    await soon(async () => (await page('patient')) === 'old')
    assert.deepEqual([await isRunning(failed), hasEnded()], [true, false])
    openGate(failed)
    assert.deepEqual(await answer, { status: 200, body: 'slow new' })
    const answeredAt = performance.now()
    await soon(async () => (await containersOf('patient')).length === 1)
    assert.ok(
      performance.now() - answeredAt < DRAIN_SECONDS * 1000,
      'nobody waited for the rest of the drain',
    )
    assert.deepEqual(await containersOf('patient'), [`patient-${app.first}`])
  })
})
