import assert from 'node:assert/strict'
import { claimNext } from '../../src/engine/queue/claim.js'
import { type LogEntry, LogReader } from '../../src/engine/logs/reader.js'
import { LogWriter } from '../../src/engine/logs/writer.js'
import { settle } from '../../src/engine/queue/states.js'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import type { Deployment } from '../../src/entities/deployment.js'
import type { TestProcess } from './engine.js'

let count = 0

/** A claimed deployment of a new app, and the writer of its log. */
export async function openLog(worker: TestProcess, onStop: () => void = () => undefined) {
  await worker.commands.apps.create({ name: `log-${count++}`, repoUrl: 'https://git.invalid/x.git' })
  const deployment = await claimNext(worker.database, worker.wakeups, {
    workerId: 'worker',
    leaseMs: 60_000,
    totalConcurrency: null,
  })
  assert.ok(deployment)
  const options = { deploymentId: deployment.id, epoch: deployment.epoch, secrets: [], onStop }
  const writer = new LogWriter(worker.database, worker.hub, options)
  return { deployment, writer }
}

/** As of a deployment that failed. */
export async function endLog(worker: TestProcess, deployment: Deployment, writer: LogWriter): Promise<void> {
  const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
  const overflowTail = await writer.overflowTail()
  const failed = { to: DeploymentStatus.FAILED, text: 'Failed.', overflowTail }
  await worker.database.transaction((manager) => settle(manager, claim, failed))
  worker.wakeups.logGrew(deployment.id)
}

export async function storedLog({ database }: TestProcess, id: string): Promise<string> {
  const sql = `SELECT string_agg(text, '' ORDER BY seq) AS text FROM log_chunk WHERE deployment_id = $1`
  return (await database.query<{ text: string }[]>(sql, [id]))[0]?.text ?? ''
}

/** To its end, or as many entries as `most` says. */
export async function readLog(
  { hub }: Pick<TestProcess, 'hub'>,
  id: string,
  from = 0,
  most = Infinity,
): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  for await (const entry of new LogReader(hub, id, from)) {
    entries.push(entry)
    if (entries.length >= most) break
  }
  return entries
}

export function textOf(entries: readonly LogEntry[]): string {
  return entries.map((entry) => entry.text).join('')
}
