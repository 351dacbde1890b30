import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { openDatabase } from '../../src/database.js'
import { Disposal } from '../../src/disposal.js'
import { Commands } from '../../src/engine/commands.js'
import { CommandError, type CommandErrorCode } from '../../src/engine/command-error.js'
import { Queries } from '../../src/engine/queries.js'
import { claimNext } from '../../src/engine/queue/claim.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import { createLogger } from '../../src/logger.js'
import { createTestDatabase } from '../support/database.js'
import { COMMAND_SETTINGS } from '../support/engine.js'

const { CANCELLED, CLONING, PENDING } = DeploymentStatus

/** A database with the engine's commands on it. */
async function openEngine(settings: Partial<typeof COMMAND_SETTINGS> = {}) {
  const opened = new Disposal()
  const { url } = opened.use(await createTestDatabase())
  const database = await openDatabase(url)
  opened.defer(() => database.destroy())
  const wakeups = opened.use(new Wakeups(url, createLogger('error')))
  await wakeups.start()
  const secrets = new SecretBox(randomBytes(32))
  const commands = new Commands({
    database,
    wakeups,
    secrets: secrets,
    settings: { ...COMMAND_SETTINGS, ...settings },
  })
  return {
    commands,
    queries: new Queries(database),
    createApp: (name: string, deploy = false) =>
      commands.apps.create({ name, repoUrl: 'file:///srv/repo', deploy }),
    claim: () =>
      claimNext(database, wakeups, { workerId: 'worker', leaseMs: 60_000, totalConcurrency: null }),
    rows: <T = object>(sql: string, parameters: unknown[] = []) => database.query<T[]>(sql, parameters),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

function refusal(code: CommandErrorCode, field: string | null = null) {
  return (error: unknown) => {
    assert.ok(error instanceof CommandError, String(error))
    assert.deepEqual({ code: error.code, field: error.field }, { code, field })
    return true
  }
}

describe('createApp', () => {
  test('makes the app, its production stage, its variables and its first deployment', async () => {
    await using engine = await openEngine()
    const variables = [{ key: 'TOKEN', value: 'very secret value' }]
    await engine.commands.apps.create({ name: 'shop', repoUrl: 'file:///srv/repo', variables })
    const rows = await engine.rows<{ value: string }>(
      `SELECT s.name AS stage, v.key, v.value_encrypted AS value, d.status, d.trigger, l.last_seq
         FROM app a JOIN stage s ON s.app_id = a.id JOIN variable v ON v.stage_id = s.id
         JOIN deployment d ON d.stage_id = s.id JOIN log_stream l ON l.deployment_id = d.id`,
    )
    const value = rows[0]?.value ?? ''
    assert.deepEqual(rows, [
      { stage: 'production', key: 'TOKEN', value, status: 'PENDING', trigger: 'CREATE', last_seq: 0 },
    ])
    assert.match(value, /^v1:/)
    assert.ok(!value.includes('very secret value'))
  })

  test('refuses a name that is taken, also when ten ask at once: exactly one wins', async () => {
    await using engine = await openEngine()
    const asked = await Promise.allSettled(Array.from({ length: 10 }, () => engine.createApp('wanted', true)))
    assert.equal(asked.filter((one) => one.status === 'fulfilled').length, 1)
    for (const one of asked) if (one.status === 'rejected') refusal('CONFLICT', 'name')(one.reason)
    await assert.rejects(engine.createApp('wanted'), refusal('CONFLICT', 'name'))
    const [counts] = await engine.rows(
      `SELECT (SELECT count(*)::int FROM app) AS apps, (SELECT count(*)::int FROM stage) AS stages,
              (SELECT count(*)::int FROM deployment) AS deployments`,
    )
    assert.deepEqual(counts, { apps: 1, stages: 1, deployments: 1 })
  })

  test('the name of a deleted app is free again', async () => {
    await using engine = await openEngine()
    const first = await engine.createApp('again')
    await engine.rows('UPDATE app SET deleted_at = now() WHERE id = $1', [first.id])
    const second = await engine.createApp('again')
    assert.notEqual(second.id, first.id)
  })
})

describe('deploy', () => {
  test('an idempotency key gives the same deployment again, also to ten calls at once', async () => {
    await using engine = await openEngine()
    const app = await engine.createApp('retried')
    const deploy = (idempotencyKey: string) => engine.commands.deployments.deploy(app.id, { idempotencyKey })
    const ids = (await Promise.all(Array.from({ length: 10 }, () => deploy('build-17')))).map(({ id }) => id)
    assert.equal(new Set(ids).size, 1)
    assert.equal((await deploy('build-17')).id, ids[0])
    const other = await deploy('build-18')
    assert.notEqual(other.id, ids[0])
    assert.equal((await engine.rows('SELECT id FROM deployment')).length, 2)
    assert.equal((await engine.rows('SELECT id FROM deployment_event')).length, 2)
  })

  test('a key answers with its deployment also after that has ended', async () => {
    await using engine = await openEngine()
    const app = await engine.createApp('retried')
    const first = await engine.commands.deployments.deploy(app.id, { idempotencyKey: 'k' })
    await engine.commands.deployments.cancel(first.id)
    const again = await engine.commands.deployments.deploy(app.id, { idempotencyKey: 'k' })
    assert.deepEqual([again.id, again.status], [first.id, CANCELLED])
  })

  test('the 26th pending deployment of a stage is refused until one was claimed', async () => {
    await using engine = await openEngine()
    const app = await engine.createApp('full')
    const asked = await Promise.allSettled(
      Array.from({ length: 30 }, () => engine.commands.deployments.deploy(app.id, {})),
    )
    assert.equal(asked.filter((one) => one.status === 'fulfilled').length, 25)
    for (const one of asked) if (one.status === 'rejected') refusal('QUEUE_FULL')(one.reason)
    assert.equal((await engine.rows('SELECT id FROM deployment')).length, 25)
    await assert.rejects(engine.commands.deployments.deploy(app.id, {}), refusal('QUEUE_FULL'))
    assert.ok(await engine.claim())
    assert.equal((await engine.commands.deployments.deploy(app.id, {})).status, PENDING)
  })

  test('an unknown app, an unknown stage and a malformed reference are refused by field', async () => {
    await using engine = await openEngine()
    const app = await engine.createApp('strict')
    await assert.rejects(engine.commands.deployments.deploy('nobody', {}), refusal('NOT_FOUND', 'appId'))
    await assert.rejects(
      engine.commands.deployments.deploy(app.id, { stage: 'moon' }),
      refusal('NOT_FOUND', 'stage'),
    )
    await assert.rejects(
      engine.commands.deployments.deploy(app.id, { ref: '--upload-pack=x' }),
      refusal('BAD_USER_INPUT', 'ref'),
    )
    await assert.rejects(
      engine.commands.deployments.deploy(app.id, { idempotencyKey: '' }),
      refusal('BAD_USER_INPUT', 'idempotencyKey'),
    )
    assert.deepEqual(await engine.rows('SELECT id FROM deployment'), [])
  })
})

describe('cancelDeployment', () => {
  test('what waits ends at once as CANCELLED with a closed log, and is never claimed', async () => {
    await using engine = await openEngine()
    const app = await engine.createApp('changed-mind')
    const { id } = await engine.commands.deployments.deploy(app.id, {})
    const cancelled = await engine.commands.deployments.cancel(id)
    assert.equal(cancelled.status, CANCELLED)
    assert.ok(cancelled.finishedAt)
    const logs = await engine.rows('SELECT end_status, text FROM log_stream NATURAL JOIN log_chunk')
    assert.deepEqual(logs, [{ end_status: CANCELLED, text: 'Cancelled before it started.\n' }])
    const events = await engine.rows<{ to_status: string }>(
      'SELECT to_status FROM deployment_event ORDER BY id',
    )
    assert.deepEqual(
      events.map((event) => event.to_status),
      [PENDING, CANCELLED],
    )
    assert.equal(await engine.claim(), null)
    await assert.rejects(engine.commands.deployments.cancel(id), refusal('CONFLICT', 'id'))
  })

  test('what is under way is asked to stop, and its worker decides', async () => {
    await using engine = await openEngine()
    await engine.createApp('under-way', true)
    const claimed = await engine.claim()
    assert.ok(claimed)
    const asked = await engine.commands.deployments.cancel(claimed.id)
    assert.equal(asked.status, CLONING)
    assert.ok(asked.cancelRequestedAt)
  })

  test('a claim and a cancellation at once: one of the two has it, never both', async () => {
    await using engine = await openEngine()
    for (let round = 0; round < 20; round++) {
      const app = await engine.createApp(`race-${round}`, true)
      const [{ id } = { id: '' }] = await engine.rows<{ id: string }>(
        'SELECT id FROM deployment WHERE app_id = $1',
        [app.id],
      )
      const [claimed, cancelled] = await Promise.all([engine.claim(), engine.commands.deployments.cancel(id)])
      if (cancelled.status === CANCELLED) assert.equal(claimed, null)
      else assert.equal((await engine.claim()) ?? claimed?.id, id)
    }
  })

  test('an unknown deployment is refused', async () => {
    await using engine = await openEngine()
    await assert.rejects(engine.commands.deployments.cancel('nobody'), refusal('NOT_FOUND', 'id'))
  })
})

test('two changes of an app at once are both kept', async () => {
  await using engine = await openEngine()
  for (let round = 0; round < 10; round++) {
    const { id } = await engine.createApp(`twice-${round}`)
    const update = (input: object) => engine.commands.apps.update(id, input)
    await Promise.all([update({ branch: 'next' }), update({ port: 3000 })])
    const rows = await engine.rows('SELECT branch, port FROM app WHERE id = $1', [id])
    assert.deepEqual(rows, [{ branch: 'next', port: 3000 }])
  }
})

test('a stage that is stopped once more cancels what was asked for in between', async () => {
  await using engine = await openEngine()
  const app = await engine.createApp('quiet')
  const { id } = await engine.commands.stages.create(app.id, 'next', null)
  await engine.commands.stages.stop(id)
  await engine.commands.deployments.deploy(app.id, { stage: 'next' })
  assert.equal((await engine.commands.stages.stop(id)).stopped, true)
  assert.deepEqual(await engine.rows('SELECT status FROM deployment'), [{ status: CANCELLED }])
})

test('the host of the API is no app’s, and can be removed from a stage that had it before', async () => {
  const publicUrl = 'https://deploy.example.com'
  await using engine = await openEngine({ baseDomain: 'example.com', publicUrl })
  await assert.rejects(engine.createApp('deploy'), refusal('BAD_USER_INPUT', 'name'))
  await engine.createApp('shop')
  await engine.rows(`INSERT INTO domain (host, stage_id) SELECT 'deploy.example.com', id FROM stage`)
  const [stage] = await engine.rows<{ id: string }>('SELECT id FROM stage')
  await engine.commands.domains.remove(stage?.id ?? '', 'Deploy.Example.com')
  assert.deepEqual(await engine.rows('SELECT host FROM domain'), [])
})

test('an empty text for a stage is no branch, no tags and no path', async () => {
  await using engine = await openEngine()
  const app = await engine.createApp('empty')
  const stage = await engine.commands.stages.create(app.id, 'next', '')
  assert.equal(stage.branch, null)
  const input = { branch: '', tags: '', healthCheck: { path: '' } }
  const { branch, tags, healthPath } = await engine.commands.stageSettings.update(stage.id, input)
  assert.deepEqual([branch, tags, healthPath], [null, null, null])
})

test('the error of an app’s commit status is that of its newest', async () => {
  await using engine = await openEngine()
  const app = await engine.createApp('told')
  const target = `INSERT INTO commit_status_target (app_id, forge, api_url, repository, token_encrypted, fingerprint)
    VALUES ($1, 'GITHUB', 'https://api.github.com', 'o/n', '', '')`
  await engine.rows(target, [app.id])
  const ids: string[] = []
  for (const error of ['refused', null]) {
    const { id } = await engine.commands.deployments.deploy(app.id, {})
    const sql = `INSERT INTO commit_status_report (deployment_id, wanted, error) VALUES ($1, 'success', $2)`
    await engine.rows(sql, [id, error])
    ids.push(id)
  }
  assert.equal((await engine.queries.commitStatusErrors([app.id])).get(app.id), undefined)
  await engine.rows(`UPDATE commit_status_report SET error = 'gone' WHERE deployment_id = $1`, [ids[1]])
  assert.equal((await engine.queries.commitStatusErrors([app.id])).get(app.id), 'gone')
})
