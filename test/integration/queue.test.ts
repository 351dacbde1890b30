import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DataSource, FindOptionsWhere } from 'typeorm'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import type { Deployment } from '../../src/entities/deployment.js'
import { lockStage } from '../../src/engine/sql/locks.js'
import { CommandError } from '../../src/engine/command-error.js'
import { LostClaimError } from '../../src/engine/errors.js'
import { appendChunks } from '../../src/engine/logs/store.js'
import { Queries } from '../../src/engine/queries.js'
import { claimNext } from '../../src/engine/queue/claim.js'
import { giveBack, MAX_ATTEMPTS, rescueExpired } from '../../src/engine/queue/rescue.js'
import { NOW, settle, transition } from '../../src/engine/queue/states.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'

const REPO = 'https://git.invalid/x.git'
const { BUILDING, FAILED, PENDING, SUPERSEDED } = DeploymentStatus

describe('the queue', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))

  const claim = (worker = 'worker', totalConcurrency: number | null = null) =>
    claimNext(process.database, process.wakeups, { workerId: worker, leaseMs: 30_000, totalConcurrency })
  const claimOf = (deployment: Deployment) => ({ deploymentId: deployment.id, epoch: deployment.epoch })
  const fail = (deployment: Deployment) => {
    const failed = { to: FAILED, text: 'Failed.', patch: { finishedAt: NOW } as const }
    return process.database.transaction((manager) => settle(manager, claimOf(deployment), failed))
  }
  const statuses = async () => {
    const rows = await process.database.query<{ id: string; status: DeploymentStatus }[]>(
      'SELECT id, status FROM deployment',
    )
    return new Map(rows.map(({ id, status }) => [id, status]))
  }
  const createApp = (name: string, deploy = true) =>
    process.commands.apps.create({ name, repoUrl: REPO, deploy })

  async function claimed(): Promise<Deployment> {
    const deployment = await claim()
    assert.ok(deployment)
    return deployment
  }

  test('gives each deployment to one worker, and a stage one at a time, however many ask', async () => {
    for (let index = 0; index < 10; index++) {
      const { id } = await createApp(`app-${index}`, false)
      await process.commands.deployments.deploy(id, {})
    }
    const seen = new Set<string>()
    const worker = async (name: string) => {
      for (let idle = 0; idle < 20;) {
        const deployment = await claim(name)
        if (!deployment) {
          idle += 1
          continue
        }
        assert.ok(!seen.has(deployment.id), 'claimed twice')
        seen.add(deployment.id)
        const rows = await process.database.query<unknown[]>(
          `SELECT stage_id FROM deployment WHERE status = 'CLONING' GROUP BY stage_id HAVING count(*) > 1`,
        )
        assert.deepEqual(rows, [])
        await fail(deployment)
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, index) => worker(`worker-${index}`)))
    assert.equal(seen.size, 10)
  })

  test('has no more in flight than the limit over all processes, however many ask', async () => {
    for (let index = 0; index < 6; index++) await createApp(`app-${index}`)
    const worker = (name: string) => claim(name, 2)
    const claims = (await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(worker))).filter(
      (found) => found !== null,
    )
    assert.equal(claims.length, 2)
    assert.equal(await claim('late', 2), null)
    await fail(claims[0] as Deployment)
    assert.ok(await claim('next', 2), 'what has ended makes room')
    assert.equal(await claim('last', 2), null)
  })

  test('holds one deployment of a stage in flight by law, whatever a process believes', async () => {
    const { id } = await createApp('law')
    const inFlight = await claimed()
    const second = await process.commands.deployments.deploy(id, {})
    const believing = process.database.query(`UPDATE deployment SET status = 'CLONING' WHERE id = $1`, [
      second.id,
    ])
    await assert.rejects(believing, /deployment_one_in_flight/)
    assert.equal((await statuses()).get(inFlight.id), 'CLONING')
  })

  test('claims in the order of the places that it says', async () => {
    for (const name of ['one', 'two', 'three']) await createApp(name)
    const sql = 'SELECT id FROM app ORDER BY id'
    const first = (await process.database.query<{ id: string }[]>(sql))[0]?.id ?? ''
    for (const stage of ['next', 'last']) await process.commands.stages.create(first, stage, null)
    for (const stage of ['last', 'next', 'production', 'next'])
      await process.commands.deployments.deploy(first, { stage })
    const ids = [...(await statuses()).keys()]
    const places = () => new Queries(process.database).queuePositions(ids)
    const said = await places() // of two in a stage the older has the place of the newer
    assert.deepEqual([...said.values()].sort(), [1, 1, 2, 3, 4, 5, 5])
    for (let place = 1; place <= 5; place++) {
      const now = await places()
      const { id } = await claimed()
      assert.deepEqual([said.get(id), now.get(id), (await places()).get(id)], [place, 1, undefined])
    }
    assert.equal((await places()).size, 0)
  })

  test('takes the newest of a stage and ends the older ones SUPERSEDED, log and events included', async () => {
    const { id } = await createApp('latest')
    const second = await process.commands.deployments.deploy(id, {})
    const third = await process.commands.deployments.deploy(id, {})
    assert.equal((await claimed()).id, third.id)
    const states = await statuses()
    assert.equal(states.get(second.id), SUPERSEDED)
    assert.equal([...states.values()].filter((status) => status === SUPERSEDED).length, 2)
    const [log] = await process.database.query<{ end_status: string; text: string }[]>(
      `SELECT s.end_status, c.text FROM log_stream s JOIN log_chunk c USING (deployment_id) WHERE deployment_id = $1`,
      [second.id],
    )
    assert.deepEqual(log, {
      end_status: SUPERSEDED,
      text: `Superseded by the newer deployment ${third.id}.\n`,
    })
    assert.equal(await claim(), null, 'the stage is taken')
  })

  test('serves the app first that has waited longest', async () => {
    const busy = await createApp('busy')
    await fail(await claimed())
    await process.commands.deployments.deploy(busy.id, {})
    const fresh = await createApp('fresh')
    assert.equal((await claimed()).appId, fresh.id)
    assert.equal((await claimed()).appId, busy.id)
  })

  test('refuses every write of a claim that was lost, and changes nothing', async () => {
    await createApp('fenced')
    const stale = await claimed()
    await process.database.query(`UPDATE deployment SET lease_until = now() - interval '1 second'`)
    assert.equal(await rescueExpired(process.database, process.wakeups), 1)
    const before = await statuses()
    await assert.rejects(transition(process.database, claimOf(stale), { to: BUILDING }), LostClaimError)
    await assert.rejects(fail(stale), LostClaimError)
    const chunk = { at: new Date(), phase: BUILDING, stream: 'STDOUT' as never, text: 'late\n' }
    const place = { ...claimOf(stale), expectedSeq: null }
    assert.equal(await appendChunks(process.database, [chunk], place), null)
    await giveBack(process.database.manager, claimOf(stale), { from: BUILDING, reason: 'late' })
    assert.deepEqual(await statuses(), before)
    assert.equal((await claimed()).id, stale.id)
  })

  test('is no claim if it was overtaken before it was read', async () => {
    await createApp('slow')
    const { database, wakeups } = process
    const overtaken: Deployment[] = []
    const slow = Object.create(database, {
      getRepository: {
        value: (entity: typeof Deployment) => ({
          findOneBy: async (where: FindOptionsWhere<Deployment>) => {
            await database.query(`UPDATE deployment SET lease_until = now() - interval '1 second'`)
            await rescueExpired(database, wakeups)
            overtaken.push(await claimed())
            return database.getRepository(entity).findOneBy(where)
          },
        }),
      },
    }) as DataSource
    const options = { workerId: 'slow', leaseMs: 30_000, totalConcurrency: null }
    assert.equal(await claimNext(slow, wakeups, options), null)
    assert.equal(overtaken.length, 1)
  })

  test('gives back one that had got too far to make way, and keeps no other from being rescued', async () => {
    const { id } = await createApp('far')
    const { STARTING, ROUTING } = DeploymentStatus
    const far = await claimed()
    await process.commands.deployments.deploy(id, {})
    for (const status of [BUILDING, STARTING, ROUTING]) {
      await transition(process.database, claimOf(far), { to: status })
    }
    await createApp('other')
    const other = await claimed()
    await process.database.query(`UPDATE deployment SET lease_until = now() - interval '1 second'`)
    assert.equal(await rescueExpired(process.database, process.wakeups), 2)
    const states = await statuses()
    assert.deepEqual([states.get(far.id), states.get(other.id)], [PENDING, PENDING])
  })

  test('gives back what is expired while a command holds its stage', async () => {
    await createApp('commanded')
    const expired = await claimed()
    await process.database.query(`UPDATE deployment SET lease_until = now() - interval '1 second'`)
    await process.database.transaction(async (manager) => {
      await lockStage(manager, expired.stageId)
      // The rescue has a connection of its own: if it waited for the stage, both would wait for ever.
      const late = sleep(60_000, 'the rescue waits for the stage', { ref: false })
      assert.equal(await Promise.race([rescueExpired(process.database, process.wakeups), late]), 1)
    })
    assert.equal((await statuses()).get(expired.id), PENDING)
  })

  test('does not ask again and again when another index than its own refuses the claim', async () => {
    await process.database.query(
      `CREATE UNIQUE INDEX one_of_all ON deployment (status) WHERE status = 'CLONING'`,
    )
    try {
      for (const name of ['first', 'refused']) await createApp(name)
      await claimed()
      await assert.rejects(claimed(), /one_of_all/)
    } finally {
      await process.database.query('DROP INDEX one_of_all')
    }
  })

  test('leaves a claim alone whose lease lasts', async () => {
    await createApp('held')
    await claimed()
    assert.equal(await rescueExpired(process.database, process.wakeups), 0)
  })

  test(`ends a deployment whose worker died ${MAX_ATTEMPTS} times`, async () => {
    await createApp('cursed')
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      assert.equal((await claimed()).attempt, attempt)
      await process.database.query(`UPDATE deployment SET lease_until = now() - interval '1 second'`)
      await rescueExpired(process.database, process.wakeups)
    }
    const rows = await process.database.query<unknown[]>('SELECT status, error_code FROM deployment')
    assert.deepEqual(rows, [{ status: FAILED, error_code: 'ENGINE_CRASH_LOOP' }])
  })

  test('does not count an attempt that was handed over', async () => {
    await createApp('handed')
    const deployment = await claimed()
    const givenBack = { from: BUILDING, reason: 'stopping', countsAsAttempt: false }
    await process.database.transaction((manager) => giveBack(manager, claimOf(deployment), givenBack))
    assert.equal((await claimed()).attempt, 1)
  })

  test('cancels at once what waits; what has ended is a CONFLICT', async () => {
    await createApp('cancelled')
    const [id] = [...(await statuses()).keys()]
    assert.ok(id)
    assert.equal((await process.commands.deployments.cancel(id)).status, 'CANCELLED')
    assert.equal(await claim(), null)
    await assert.rejects(process.commands.deployments.cancel(id), codeIs('CONFLICT'))
  })
})

function codeIs(code: string) {
  return (error: unknown) => error instanceof CommandError && error.code === code
}
