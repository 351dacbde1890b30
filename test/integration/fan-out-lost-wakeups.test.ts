import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Disposal } from '../../src/disposal.js'
import { LogHub } from '../../src/engine/logs/hub.js'
import { type Topic, Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { createLogger } from '../../src/logger.js'
import { ApiServer } from '../support/api-server.js'
import { followLog, type LogEvent } from '../support/client.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { endLog, openLog } from '../support/logs.js'
import { until } from '../support/server.js'
import { Subscriber } from '../support/subscriber.js'

const CLIENTS = 60
const CHUNKS = 400
/** Of the notifications that each process gets. */
const LOST = [0.2, 0.2, 1]
const LOG = `subscription ($id: ID!, $after: Int!) {
  deploymentLogs(deploymentId: $id, after: $after) { seq text end { lastSeq } } }`

/** Loses every so many of its notifications. */
class LossyWakeups extends Wakeups {
  #count = 0

  constructor(
    url: string,
    private readonly lost: number,
  ) {
    super(url, createLogger('error'))
  }

  override on(topic: Topic, listener: (id: string) => void): () => void {
    return super.on(topic, (id) => {
      this.#count += 1
      if (this.#count % Math.round(1 / this.lost) !== 0) listener(id)
    })
  }
}

async function openApi(
  { commands, database }: TestProcess,
  lost: number,
): Promise<AsyncDisposable & { port: number; hub: LogHub }> {
  const wakeups = new LossyWakeups((database.options as { url: string }).url, lost)
  await wakeups.start()
  const hub = new LogHub(database, wakeups)
  const server = await ApiServer.open({ commands, database, wakeups, hub })
  return {
    port: server.port,
    hub,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      hub[Symbol.dispose]()
      await wakeups[Symbol.asyncDispose]()
    },
  }
}

/** Reads from one process after the other, as many events from each as its number says, some without a farewell. */
async function hop(ports: readonly number[], id: string, number: number): Promise<LogEvent[]> {
  const events: LogEvent[] = []
  for (let turn = number; !events.at(-1)?.end; turn++) {
    const port = ports[turn % ports.length] ?? 0
    const after = events.at(-1)?.seq ?? 0
    const most = 5 + ((number * 7 + turn * 13) % 60)
    if (turn % 3 === 0) events.push(...(await readAndVanish(port, id, after, most)))
    else events.push(...(await followLog(port, id, after, (seen) => seen.length >= most)))
  }
  return events
}

async function readAndVanish(port: number, id: string, after: number, most: number): Promise<LogEvent[]> {
  using subscriber = await Subscriber.open(port)
  subscriber.subscribe('1', LOG, { id, after })
  const seen = () =>
    subscriber.dataOf('1').map((data) => (data as { deploymentLogs: LogEvent }).deploymentLogs)
  await until(() => seen().length >= most || seen().at(-1)?.end)
  return seen()
}

test('60 clients of 3 processes that lose wake-ups, and hop between them, see every line once', async () => {
  await using opened = await openProcesses(4)
  const [worker, ...others] = opened.processes as [TestProcess, ...TestProcess[]]
  await using disposal = new Disposal()
  const apis = []
  for (const [index, process] of others.entries())
    apis.push(disposal.use(await openApi(process, LOST[index] ?? 0)))
  const { deployment, writer } = await openLog(worker)
  const ports = apis.map(({ port }) => port)
  const readings = Array.from({ length: CLIENTS }, (_, number) => hop(ports, deployment.id, number))
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    writer.system(`line ${chunk}`)
    await writer.flush()
  }
  await endLog(worker, deployment, writer)
  const [row] = await worker.database.query<{ text: string; n: number }[]>(
    `SELECT string_agg(text, '' ORDER BY seq) AS text, count(*)::int AS n FROM log_chunk WHERE deployment_id = $1`,
    [deployment.id],
  )
  assert.ok(row && row.n > CHUNKS)
  const numbers = Array.from({ length: row.n }, (_, index) => index + 1)
  for (const [number, events] of (await Promise.all(readings)).entries()) {
    assert.deepEqual(
      events.map(({ seq }) => seq),
      numbers,
      `client ${number}`,
    )
    assert.equal(events.map(({ text }) => text).join(''), row.text, `client ${number}`)
  }
  for (const { hub } of apis) await until(() => hub.viewers() === 0)
})
