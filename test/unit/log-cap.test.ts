import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { HEAD_BYTES, LogCap, TAIL_BYTES } from '../../src/engine/logs/log-cap.js'
import { TAIL_CHUNKS } from '../../src/engine/logs/log-tail.js'
import type { LogChunkInput } from '../../src/engine/logs/store.js'
import { DeploymentStatus, LogStream } from '../../src/entities/deployment-status.js'

const START = Date.parse('2026-01-01T00:00:00Z')

function line(text: string, more: Partial<LogChunkInput> = {}): LogChunkInput {
  return { at: new Date(START), phase: DeploymentStatus.BUILDING, stream: LogStream.STDOUT, text, ...more }
}

/** Numbered lines of different lengths, some of several bytes per character. */
function lines(bytes: number): LogChunkInput[] {
  const all: LogChunkInput[] = []
  for (let left = bytes; left > 0;) {
    const number = all.length
    const text = `${number} ${(number % 3 === 0 ? 'é' : 'x').repeat((number * 37) % 9000)}\n`
    left -= Buffer.byteLength(text)
    all.push(line(text))
  }
  return all
}

function textOf(chunks: readonly LogChunkInput[]): string {
  return chunks
    .filter((chunk) => chunk.stream !== LogStream.SYSTEM)
    .map((chunk) => chunk.text)
    .join('')
}

function noticesOf(chunks: readonly LogChunkInput[]): string[] {
  return chunks.filter((chunk) => chunk.stream === LogStream.SYSTEM).map((chunk) => chunk.text)
}

function run(all: readonly LogChunkInput[]) {
  const cap = new LogCap()
  const stored = all.flatMap((one) => cap.take(one))
  return { stored, ...cap.overflowTail(DeploymentStatus.FAILED) }
}

describe('the cap of a log', () => {
  test('changes nothing of a log below the limit', () => {
    const all = lines(1024 * 1024)
    const { stored, chunks, omittedBytes } = run(all)
    assert.deepEqual(stored, all)
    assert.deepEqual(chunks, [])
    assert.equal(omittedBytes, 0)
  })

  test('changes nothing of a log that fills the limit exactly', () => {
    const all = [...Array<LogChunkInput>(HEAD_BYTES / 8192).keys()].map(() => line(`${'x'.repeat(8191)}\n`))
    const { stored, chunks, omittedBytes } = run(all)
    assert.equal(stored.length, all.length)
    assert.deepEqual([chunks, omittedBytes], [[], 0])
  })

  test('counts exactly: head, omitted and tail are the whole log', () => {
    const all = lines(HEAD_BYTES + TAIL_BYTES + 3 * 1024 * 1024)
    const { stored, chunks, omittedBytes } = run(all)
    const [whole, head, tail] = [textOf(all), textOf(stored), textOf(chunks)]
    assert.ok(whole.startsWith(head) && whole.endsWith(tail))
    assert.ok(omittedBytes > 2 * 1024 * 1024)
    assert.equal(Buffer.byteLength(head) + omittedBytes + Buffer.byteLength(tail), Buffer.byteLength(whole))
    const omitted = whole.slice(head.length, whole.length - tail.length)
    assert.equal(Buffer.byteLength(omitted), omittedBytes)
    const count = omitted.split('\n').length - 1
    assert.deepEqual(noticesOf(chunks), [`--- ${omittedBytes} bytes / ${count} lines omitted ---\n`])
    assert.equal(chunks[0]?.stream, LogStream.SYSTEM)
    assert.equal(chunks[0]?.phase, DeploymentStatus.FAILED)
  })

  test('holds what it keeps, and not what it has left out', () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const cap = new LogCap()
    const heldMib = () => {
      collect()
      return process.memoryUsage().heapUsed / 1024 / 1024
    }
    const text = () => Buffer.from(`${'x'.repeat(1023)}\n`).toString()
    for (let bytes = 0; bytes <= HEAD_BYTES; bytes += 1024) cap.take(line(text()))
    const before = heldMib()
    for (let count = 0; count < 40 * 1024; count++) cap.take(line(text()))
    const grownMib = heldMib() - before
    assert.ok(grownMib < 12, `${grownMib} MiB are held after 40 MiB`)
    assert.ok(cap.overflowTail(DeploymentStatus.FAILED).omittedBytes > 0)
  })

  test('stores a head and a tail of at most their sizes, and nearly that', () => {
    const { stored, chunks } = run(lines(HEAD_BYTES + TAIL_BYTES + 1024 * 1024))
    const [head, tail] = [Buffer.byteLength(textOf(stored)), Buffer.byteLength(textOf(chunks))]
    assert.ok(head <= HEAD_BYTES && head > HEAD_BYTES - 20_000, `head ${head}`)
    assert.ok(tail <= TAIL_BYTES && tail > TAIL_BYTES - 20_000, `tail ${tail}`)
  })

  test('omits nothing of a log that fits into head and tail', () => {
    const all = lines(HEAD_BYTES + TAIL_BYTES / 2)
    const { stored, chunks, omittedBytes } = run(all)
    assert.equal(omittedBytes, 0)
    assert.equal(textOf(stored) + textOf(chunks), textOf(all))
  })

  test('does not let a short line past a longer one that did not fit any more', () => {
    const cap = new LogCap()
    cap.take(line('x'.repeat(HEAD_BYTES - 10)))
    cap.take(line('longer than ten\n'))
    assert.equal(textOf(cap.take(line('short\n'))), '')
    assert.equal(textOf(cap.overflowTail(DeploymentStatus.FAILED).chunks), 'longer than ten\nshort\n')
  })

  test('counts a line that is longer than the whole tail', () => {
    const [head, long] = [line('x'.repeat(HEAD_BYTES)), line(`${'y'.repeat(TAIL_BYTES)}\n`)]
    assert.equal(run([head, long]).omittedBytes, TAIL_BYTES + 1)
  })

  test('says every five seconds, and not more often, that lines are left out', () => {
    const cap = new LogCap()
    cap.take(line('x'.repeat(HEAD_BYTES)))
    const said = [0, 1000, 4999, 5000, 6000, 9999, 10_000].map((ms) => {
      return noticesOf(cap.take(line('more\n', { at: new Date(START + ms) }))).length
    })
    assert.deepEqual(said, [1, 0, 0, 1, 0, 0, 1])
  })

  test('joins the lines of the tail to chunks by bytes', () => {
    const tail = Array.from({ length: 20 }, () => line(`${'你'.repeat(5_000)}\n`))
    const { chunks } = run([line('x'.repeat(HEAD_BYTES)), ...tail])
    assert.equal(textOf(chunks), textOf(tail))
    for (const { text } of chunks) assert.ok(Buffer.byteLength(text) <= 32 * 1024)
  })

  test('takes short lines by the million, and its end is bounded by chunks, too', { timeout: 30_000 }, () => {
    const cap = new LogCap()
    cap.take(line('x'.repeat(HEAD_BYTES)))
    const empty = [line('\n'), line('\n', { stream: LogStream.STDERR })]
    for (let count = 0; count < 3_000_000; count++) cap.take(empty[0] as LogChunkInput)
    assert.equal(Buffer.byteLength(textOf(cap.overflowTail(DeploymentStatus.FAILED).chunks)), TAIL_BYTES)
    for (let count = 0; count < 100_000; count++) cap.take(empty[count % 2] as LogChunkInput)
    const { chunks, omittedBytes } = cap.overflowTail(DeploymentStatus.FAILED)
    assert.equal(chunks.length, TAIL_CHUNKS + 1)
    assert.equal(omittedBytes + TAIL_CHUNKS, 3_100_000)
  })

  test('keeps apart in the tail what came from different sources and phases', () => {
    const [out, error] = [LogStream.STDOUT, LogStream.STDERR]
    const tail = [
      line('a\n'),
      line('b\n'),
      line('c\n', { stream: error }),
      line('C\n', { stream: error, phase: DeploymentStatus.STARTING }),
      line('d\n', { stream: out, phase: DeploymentStatus.STARTING }),
    ]
    const { chunks } = run([line('x'.repeat(HEAD_BYTES)), ...tail])
    assert.deepEqual(
      chunks.slice(1).map(({ phase, stream, text }) => [phase, stream, text]),
      [
        ['BUILDING', 'STDOUT', 'a\nb\n'],
        ['BUILDING', 'STDERR', 'c\n'],
        ['STARTING', 'STDERR', 'C\n'],
        ['STARTING', 'STDOUT', 'd\n'],
      ],
    )
  })
})
