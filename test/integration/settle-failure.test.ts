import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DataSource } from 'typeorm'
import { DeploymentStatus, LogStream } from '../../src/entities/deployment-status.js'
import type { Deployment } from '../../src/entities/deployment.js'
import { DeployError, HandOverError, InfrastructureError, SupersededError } from '../../src/engine/errors.js'
import { HEAD_BYTES, TAIL_BYTES } from '../../src/engine/logs/log-cap.js'
import { LogWriter } from '../../src/engine/logs/writer.js'
import { claimNext } from '../../src/engine/queue/claim.js'
import { rescueExpired } from '../../src/engine/queue/rescue.js'
import { settleFailure } from '../../src/engine/queue/settle-failure.js'
import { transition } from '../../src/engine/queue/states.js'
import { createLogger } from '../../src/logger.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'

const { BUILDING, ROUTING, STARTING } = DeploymentStatus
const LEASE_MS = 30_000

interface Row {
  readonly status: DeploymentStatus
  readonly attempt: number
  readonly error_code: string | null
}

describe('work that stopped', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))

  async function claimed(name: string): Promise<Deployment> {
    await process.commands.apps.create({ name, repoUrl: 'https://git.invalid/x.git' })
    const options = { workerId: 'worker', leaseMs: LEASE_MS, totalConcurrency: null }
    const deployment = await claimNext(process.database, process.wakeups, options)
    assert.ok(deployment)
    return deployment
  }
  const claimOf = ({ id, epoch }: Deployment) => ({ deploymentId: id, epoch })
  const servicesOn = (database: DataSource) => ({
    ...{ database, wakeups: process.wakeups },
    ...{ logger: createLogger('error'), settings: { leaseMs: LEASE_MS } },
  })
  const settled = (deployment: Deployment, reason: Error, log: LogWriter | null = null) => {
    const { signal: handingOver } = new AbortController()
    return settleFailure(servicesOn(process.database), {
      deployment,
      claim: claimOf(deployment),
      log,
      reason,
      handingOver,
    })
  }
  async function row({ id }: Deployment): Promise<Row> {
    const sql = 'SELECT status, attempt, error_code FROM deployment WHERE id = $1'
    const [found] = await process.database.query<Row[]>(sql, [id])
    assert.ok(found)
    return found
  }

  for (const reason of [
    new HandOverError('stopping'),
    new InfrastructureError('DOCKER_FAILED', 'Docker is away'),
  ]) {
    test(`by a ${reason.name} is CANCELLED where that was asked for meanwhile, and does not go back`, async () => {
      const deployment = await claimed('cancelled')
      await process.commands.deployments.cancel(deployment.id)
      await settled(deployment, reason)
      assert.equal((await row(deployment)).status, 'CANCELLED')
    })
  }

  test('by a fault of the user’s is FAILED with it, whatever was asked for meanwhile', async () => {
    const deployment = await claimed('broken')
    await process.commands.deployments.cancel(deployment.id)
    await settled(deployment, new DeployError('BUILD_FAILED', 'the build failed'))
    assert.equal((await row(deployment)).error_code, 'BUILD_FAILED')
  })

  test(
    'while the database is away is not waited for by a process that stops',
    { timeout: 10_000 },
    async () => {
      const deployment = await claimed('unsettled')
      const away = new DataSource(process.database.options) // not connected
      const stopping = new AbortController()
      const reason = new DeployError('BUILD_FAILED', 'the build failed')
      const stopped = {
        deployment,
        claim: claimOf(deployment),
        log: null,
        reason,
        handingOver: stopping.signal,
      }
      const settling = settleFailure(servicesOn(away), stopped)
      stopping.abort()
      await assert.rejects(settling, /not (yet )?established|not connected|Driver/)
      assert.equal((await row(deployment)).status, 'CLONING')
    },
  )

  test('for a newer one, but too far to make way, goes back at once and does not count', async () => {
    const deployment = await claimed('far')
    for (const status of [BUILDING, STARTING, ROUTING]) {
      await transition(process.database, claimOf(deployment), { to: status })
    }
    await settled(deployment, new SupersededError('newer'))
    assert.deepEqual(await row(deployment), { status: 'PENDING', attempt: 0, error_code: null })
  })

  test('by a fault of the surroundings has the end of its long log stored, and counted what is not', async () => {
    const deployment = await claimed('long')
    const options = { ...claimOf(deployment), secrets: [], onStop: () => assert.fail('lost') }
    const log = new LogWriter(process.database, process.hub, options)
    const output = log.output(LogStream.STDOUT)
    const line = Buffer.from(`${'x'.repeat(1023)}\n`.repeat(1024))
    for (let mebibyte = 0; mebibyte < 12; mebibyte++) await output.write(line)
    await output.write(Buffer.from('its last line\n'))
    output.end()
    await settled(deployment, new InfrastructureError('DOCKER_FAILED', 'Docker is away'), log)
    assert.equal((await row(deployment)).status, 'PENDING')
    const [stored] = await process.database.query<Record<string, unknown>[]>(
      `SELECT (SELECT string_agg(text, '' ORDER BY seq) FROM log_chunk) LIKE '%its last line%Back in the queue%' AS ends,
              omitted_bytes::int AS omitted FROM log_stream`,
    )
    assert.ok(stored?.ends)
    const omitted = Number(stored.omitted)
    assert.ok(
      Math.abs(omitted - (12 * 1024 * 1024 - HEAD_BYTES - TAIL_BYTES)) < 2048,
      `${omitted} bytes omitted`,
    )
  })

  test('with its worker keeps no other from being rescued, even if it cannot be', async () => {
    const [hopeless, other] = [await claimed('hopeless'), await claimed('other')]
    const { database, wakeups } = process
    await database.query(`UPDATE log_stream SET log_day = '1970-01-01' WHERE deployment_id = $1`, [
      hopeless.id,
    ])
    await database.query(`UPDATE deployment SET lease_until = now() - interval '1 second'`)
    await assert.rejects(rescueExpired(database, wakeups), /no partition/)
    assert.deepEqual([(await row(hopeless)).status, (await row(other)).status], ['CLONING', 'PENDING'])
  })
})
