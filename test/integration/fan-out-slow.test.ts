import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { LogStream } from '../../src/entities/deployment-status.js'
import type { LogWriter } from '../../src/engine/logs/writer.js'
import { ClientConnection } from '../../src/http/fan-out/client-connection.js'
import { ApiServer } from '../support/api-server.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { endLog, openLog } from '../support/logs.js'
import { until } from '../support/server.js'
import { Subscriber } from '../support/subscriber.js'

const MIB = 1024 * 1024
/** Events of more than 100 KiB: 50 MiB in all, which no socket's buffers in the kernel take. */
const LARGE = `subscription ($id: ID!) { deploymentLogs(deploymentId: $id) {
  seq a: text b: text c: text d: text e: text f: text g: text h: text } }`
const LOG = 'subscription ($id: ID!) { deploymentLogs(deploymentId: $id) { seq } }'
const LINE = Buffer.from(`${'x'.repeat(1_000)}\n`)
const LINES = 6_500

/** The server's side of a connection, as far as a test looks at it. */
interface ServerSide {
  readonly socket: { readonly bufferedAmount: number; close(code: number, reason: string): void }
}

/** What a server's connections held at most, and what they were closed with. */
class Watch {
  buffered = 0
  readonly closes: [number, string][] = []
  readonly #send: ClientConnection['send'] = Reflect.get(ClientConnection.prototype, 'send')
  readonly #known = new Set<unknown>()

  constructor() {
    const original = this.#send
    const look = (socket: ServerSide['socket']) => this.#look(socket)
    ClientConnection.prototype.send = function (this: ClientConnection, ...args) {
      const sent = original.apply(this, args)
      look((this as unknown as ServerSide).socket)
      return sent
    }
  }

  stop(): void {
    ClientConnection.prototype.send = this.#send
  }

  #look(socket: ServerSide['socket']): void {
    this.buffered = Math.max(this.buffered, socket.bufferedAmount)
    if (this.#known.has(socket)) return
    this.#known.add(socket)
    const close = socket.close.bind(socket)
    socket.close = (code, reason) => {
      this.closes.push([code, reason])
      close(code, reason)
    }
  }
}

describe('a viewer that is slow', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let worker: TestProcess
  let api: TestProcess
  let watch: Watch

  beforeEach(() => void (watch = new Watch()))
  afterEach(() => watch.stop())
  before(async () => {
    opened = await openProcesses(2)
    ;[worker, api] = opened.processes as [TestProcess, TestProcess]
  })
  after(() => opened[Symbol.asyncDispose]())

  async function pour(writer: LogWriter): Promise<void> {
    const output = writer.output(LogStream.STDOUT)
    for (let line = 0; line < LINES; line++) await output.write(LINE)
    output.end()
    await writer.flush()
  }

  const seqsOf = (subscriber: Subscriber) =>
    subscriber.dataOf('1').map((data) => (data as { deploymentLogs: { seq: number } }).deploymentLogs.seq)

  test('gets nothing live while it is behind, and every event when it reads again', async () => {
    await using server = await ApiServer.open(api)
    const { deployment, writer } = await openLog(worker)
    const { id } = deployment
    using slow = await Subscriber.open(server.port)
    using quick = await Subscriber.open(server.port)
    for (const viewer of [slow, quick]) viewer.subscribe('1', LARGE, { id })
    writer.system('ready')
    await until(() => seqsOf(slow).length === 1 && seqsOf(quick).length === 1)
    slow.pause()
    await pour(writer)
    await until(() => seqsOf(quick).length > 300)
    assert.ok(seqsOf(slow).length < 2, 'it reads')
    assert.ok(watch.buffered > 0, 'the kernel has taken it all: it was not slow')
    assert.ok(watch.buffered < 1.2 * MIB, `${watch.buffered} bytes are held for it`)
    slow.resume()
    await until(() => seqsOf(slow).length === seqsOf(quick).length)
    await endLog(worker, deployment, writer)
    for (const viewer of [slow, quick]) {
      await viewer.ended('1')
      const seqs = seqsOf(viewer)
      assert.deepEqual(
        seqs,
        seqs.map((_, index) => index + 1),
      )
      assert.deepEqual(viewer.of('1').at(-1), { id: '1', type: 'complete' })
    }
    assert.equal(seqsOf(slow).length, seqsOf(quick).length)
    assert.equal(api.hub.viewers(), 0)
  })

  test('and never reads is closed with 4429, and holds up nobody', async () => {
    await using server = await ApiServer.open(api, [], { pingMs: 60_000, stallMs: 300 })
    const { deployment, writer } = await openLog(worker)
    const { id } = deployment
    using silent = await Subscriber.open(server.port)
    using quick = await Subscriber.open(server.port)
    silent.subscribe('1', LARGE, { id })
    quick.subscribe('1', LOG, { id })
    writer.system('ready')
    await until(() => seqsOf(silent).length === 1 && seqsOf(quick).length === 1)
    silent.pause()
    await pour(writer)
    await until(() => watch.closes.length > 0)
    assert.deepEqual(watch.closes, [
      [4429, 'nothing was read for 0.3 s: subscribe again, after what was seen'],
    ])
    assert.ok(watch.buffered < 1.2 * MIB, `${watch.buffered} bytes were held for it`)
    silent.resume()
    await until(() => silent.closed !== null)
    // Where it comes to the end of what was sent in time, it is told why.
    assert.ok([4429, 1006].includes(silent.closed?.code ?? 0), `closed with ${silent.closed?.code}`)
    await endLog(worker, deployment, writer)
    await quick.ended('1')
    const seqs = seqsOf(quick)
    assert.ok(seqs.length > 300)
    assert.deepEqual(
      seqs,
      seqs.map((_, index) => index + 1),
    )
    await until(() => api.hub.viewers() === 0)
  })
})
