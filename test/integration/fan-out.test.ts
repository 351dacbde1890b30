import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import { LogHub } from '../../src/engine/logs/hub.js'
import type { LogWriter } from '../../src/engine/logs/writer.js'
import { transition } from '../../src/engine/queue/states.js'
import { ChangeResolver } from '../../src/resolvers/change-resolver.js'
import { LogResolver } from '../../src/resolvers/log-resolver.js'
import { type ApiError, ApiServer } from '../support/api-server.js'
import { followLog, type LogEvent } from '../support/client.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { endLog, openLog } from '../support/logs.js'
import { until } from '../support/server.js'
import { Subscriber } from '../support/subscriber.js'

const LOG =
  'subscription ($id: ID!, $after: Int) { deploymentLogs(deploymentId: $id, after: $after) { seq text } }'
const MANY = 30

interface Seen {
  readonly deploymentLogs: { readonly seq: number; readonly text: string }
}

describe('viewers of the same', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let worker: TestProcess
  let api: ApiServer
  let hub: LogHub
  /** Statements that the API's hub has sent. */
  let reads = 0

  before(async () => {
    opened = await openProcesses(2)
    const [first, other] = opened.processes as [TestProcess, TestProcess]
    worker = first
    const counted = {
      query: <T>(sql: string, parameters?: unknown[]) => {
        reads += 1
        return other.database.query<T>(sql, parameters)
      },
    }
    hub = new LogHub(counted, other.wakeups)
    const { commands, database, wakeups } = other
    api = await ApiServer.open({ commands, database, wakeups, hub })
  })
  after(async () => {
    await api[Symbol.asyncDispose]()
    hub[Symbol.dispose]()
    await opened[Symbol.asyncDispose]()
  })

  async function write(writer: LogWriter, text: string): Promise<void> {
    writer.system(text)
    await writer.flush()
  }

  const seqsOf = (subscriber: Subscriber, id = '1') =>
    subscriber.dataOf(id).map((data) => (data as Seen).deploymentLogs.seq)
  const upTo = (last: number, from = 0) => Array.from({ length: last - from }, (_, index) => from + index + 1)

  async function openViewers(count: number, id: string, query = LOG): Promise<Subscriber[]> {
    const viewers = await Promise.all(Array.from({ length: count }, () => Subscriber.open(api.port)))
    for (const viewer of viewers) viewer.subscribe('1', query, { id })
    return viewers
  }

  test('share one execution and one read of each event, wherever they began', async () => {
    const { deployment, writer } = await openLog(worker)
    const executions = mock.method(LogResolver.prototype, 'deploymentLogs')
    const viewers = await openViewers(MANY, deployment.id)
    await write(writer, 'first')
    await until(() => viewers.every((viewer) => viewer.dataOf('1').length === 1))
    const late = await openViewers(5, deployment.id)
    await until(() => late.every((viewer) => viewer.dataOf('1').length === 1))
    const reconnecting = await openViewers(5, deployment.id)
    for (const viewer of reconnecting) viewer.subscribe('2', LOG, { id: deployment.id, after: 1 })
    const all = [...viewers, ...late, ...reconnecting]
    await write(writer, 'second')
    await until(() => all.every((viewer) => seqsOf(viewer).at(-1) === 2))
    await until(() => reconnecting.every((viewer) => seqsOf(viewer, '2').at(-1) === 2))
    const before = { executions: executions.mock.callCount(), reads }
    for (let seq = 3; seq <= 22; seq++) {
      await write(writer, `line ${seq}`)
      await until(() => all.every((viewer) => seqsOf(viewer).at(-1) === seq))
    }
    assert.equal(executions.mock.callCount() - before.executions, 20)
    // One each, and now and then a poll.
    assert.ok(reads - before.reads < 40, `${reads - before.reads} reads for 20 events`)
    await endLog(worker, deployment, writer)
    for (const viewer of all) await viewer.ended('1')
    for (const viewer of all) assert.deepEqual(seqsOf(viewer), upTo(23))
    for (const viewer of reconnecting) await viewer.ended('2')
    for (const viewer of reconnecting) assert.deepEqual(seqsOf(viewer, '2'), upTo(23, 1))
    for (const viewer of all) assert.deepEqual(viewer.of('1').at(-1), { id: '1', type: 'complete' })
    for (const viewer of all) viewer[Symbol.dispose]()
    executions.mock.restore()
    await until(() => hub.viewers() === 0)
  })

  test('of changes share one execution of each', async () => {
    const { deployment } = await openLog(worker)
    const executions = mock.method(LogResolver.prototype, 'deploymentUpdated')
    const query = 'subscription ($id: ID!) { deploymentUpdated(id: $id) { status } }'
    const viewers = await openViewers(MANY, deployment.id, query)
    const { CLONING, BUILDING, STARTING, ROUTING, FAILED } = DeploymentStatus
    const claim = { deploymentId: deployment.id, epoch: deployment.epoch }
    const seen = [CLONING]
    const allSaw = () => until(() => viewers.every((viewer) => viewer.dataOf('1').length === seen.length))
    await allSaw()
    let executed = 0
    for (const status of [BUILDING, STARTING, ROUTING]) {
      executed = executions.mock.callCount()
      await transition(worker.database, claim, { to: status })
      worker.wakeups.deploymentChanged(deployment.id)
      seen.push(status)
      await allSaw()
    }
    assert.equal(executions.mock.callCount() - executed, 1)
    await transition(worker.database, claim, { to: FAILED })
    worker.wakeups.deploymentChanged(deployment.id)
    for (const viewer of viewers) await viewer.ended('1')
    const data = [...seen, FAILED].map((status) => ({ deploymentUpdated: { status } }))
    for (const viewer of viewers) assert.deepEqual(viewer.dataOf('1'), data)
    for (const viewer of viewers) assert.equal(viewer.of('1').at(-1)?.type, 'complete')
    for (const viewer of viewers) viewer[Symbol.dispose]()
    executions.mock.restore()
  })

  test('of the feed of changes share one execution of each, wherever they began', async () => {
    const executions = mock.method(ChangeResolver.prototype, 'changes')
    const query = 'subscription ($after: String) { changes(after: $after) { cursor event typename id } }'
    const viewers = await openViewers(MANY, '', query)
    const seen = (viewer: Subscriber, id = '1') =>
      viewer.dataOf(id).map((data) => (data as { changes: { cursor: string; event: string } }).changes)
    await until(() => viewers.every((viewer) => seen(viewer).length === 1))
    const resumed = viewers.slice(0, 5)
    for (const viewer of resumed) viewer.subscribe('2', query, { after: seen(viewer)[0]?.cursor })
    let executed = 0
    // An app and its stage: those that began each for itself meet behind the first change that all have read.
    for (const count of [2, 4, 6]) {
      executed = executions.mock.callCount()
      await worker.commands.apps.create({
        name: `shared-${count}`,
        repoUrl: 'https://git.invalid/x.git',
        deploy: false,
      })
      await until(() => viewers.every((viewer) => seen(viewer).length === count + 1))
      await until(() => resumed.every((viewer) => seen(viewer, '2').length === count))
    }
    assert.equal(executions.mock.callCount() - executed, 2)
    const all = seen(viewers[0] as Subscriber).slice(1)
    for (const viewer of viewers) assert.deepEqual(seen(viewer).slice(1), all)
    for (const viewer of resumed) assert.deepEqual(seen(viewer, '2'), all)
    for (const viewer of viewers) viewer[Symbol.dispose]()
    executions.mock.restore()
  })

  test('are not mixed with those of another selection, variable, operation or id', async () => {
    const { deployment, writer } = await openLog(worker)
    const { id } = deployment
    const field = `deploymentLogs(deploymentId: "${id}")`
    const two = `subscription A { ${field} { seq } } subscription B { ${field} { said: text } }`
    const one = `subscription ($yes: Boolean!) { ${field} { seq stream @include(if: $yes) } }`
    const at = `subscription ($id: ID!, $n: Int!) {
      deploymentLogs(deploymentId: $id, after: $n) { seq stream @include(if: true) } }`
    using first = await Subscriber.open(api.port)
    using other = await Subscriber.open(api.port)
    const asked = [
      ['A', two, {}, 'A', (seq: number) => ({ seq })],
      ['a "b"\n\u{1F600}', two, {}, 'B', (seq: number) => ({ said: `line ${seq}\n` })],
      ['yes', one, { yes: true }, undefined, (seq: number) => ({ seq, stream: 'SYSTEM' })],
      ['no', one, { yes: false }, undefined, (seq: number) => ({ seq })],
      ['whole', LOG, { id }, undefined, (seq: number) => ({ seq, text: `line ${seq}\n` })],
      ['at', at, { id, n: 0 }, undefined, (seq: number) => ({ seq, stream: 'SYSTEM' })],
    ] as const
    for (const subscriber of [first, other])
      for (const [key, query, variables, operation] of asked)
        subscriber.subscribe(key, query, variables, operation)
    for (let seq = 1; seq <= 5; seq++) {
      await write(writer, `line ${seq}`)
      await until(() => asked.every(([key]) => other.dataOf(key).length === seq))
      // Without a word more it gets nothing more, and the same id may be used again.
      if (seq === 3) first.complete('whole')
    }
    for (const [key, , , , shape] of asked) {
      const data = upTo(5).map((seq) => ({ deploymentLogs: shape(seq) }))
      assert.deepEqual(other.dataOf(key), data, key)
      if (key === 'whole') continue
      await until(() => first.dataOf(key).length === 5)
      assert.deepEqual(first.dataOf(key), data, key)
    }
    assert.ok(first.dataOf('whole').length < 5, 'it was shown on')
    await endLog(worker, deployment, writer)
    for (const [key] of asked) await other.ended(key)
    for (const [key] of asked) assert.deepEqual(other.of(key).at(-1), { id: key, type: 'complete' })
    assert.equal(first.of('whole').at(-1)?.type, 'next')
  })

  test('each get an error under their own id; it is logged once', async () => {
    const { deployment, writer } = await openLog(worker)
    const original: LogResolver['deploymentLogs'] = Reflect.get(LogResolver.prototype, 'deploymentLogs')
    const failing = mock.method(
      LogResolver.prototype,
      'deploymentLogs',
      function (this: LogResolver, ...args: Parameters<typeof original>) {
        if (args[0].seq === 2) throw new Error('a secret detail')
        return original.apply(this, args)
      },
    )
    const viewers = await openViewers(5, deployment.id)
    for (const text of ['one', 'two', 'three']) await write(writer, text)
    await until(() => viewers.every((viewer) => viewer.dataOf('1').length === 3))
    for (const viewer of viewers) {
      const { payload } = viewer.of('1')[1] as { payload: { data: null; errors: { message: string }[] } }
      assert.equal(payload.data, null)
      assert.deepEqual(
        payload.errors.map(({ message }) => message),
        ['internal error: see the server log'],
      )
      viewer.subscribe('2', LOG, { id: 'nothing' })
      await until(() => viewer.of('2').length > 0)
      const [refusal] = viewer.of('2') as { payload: { errors: ApiError[] } }[]
      const { code, field } = refusal?.payload.errors[0]?.extensions ?? {}
      assert.deepEqual([code, field], ['NOT_FOUND', 'deploymentId'])
    }
    assert.deepEqual(api.logged, ['internal error'])
    failing.mock.restore()
    await endLog(worker, deployment, writer)
    for (const viewer of viewers) await viewer.ended('1')
    for (const viewer of viewers) viewer[Symbol.dispose]()
  })

  test('begin again where they all had left', async () => {
    const { deployment, writer } = await openLog(worker)
    const started = followLog(api.port, deployment.id, 0, (events) => events.length === 2)
    for (const text of ['one', 'two', 'three']) await write(writer, text)
    const before = await started
    await until(() => hub.viewers() === 0)
    const rest = followLog(api.port, deployment.id, before.at(-1)?.seq)
    await endLog(worker, deployment, writer)
    const events: LogEvent[] = [...before, ...(await rest)]
    assert.deepEqual(
      events.map(({ seq }) => seq),
      upTo(4),
    )
  })
})
