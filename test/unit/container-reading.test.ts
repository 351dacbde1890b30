import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type {
  ContainerLog,
  ContainerLogsQuery,
  ContainerOutput,
  Docker,
} from '../../src/engine/docker/docker.js'
import { readContainer } from '../../src/engine/runtime-logs/container-reading.js'
import { ReadingLines } from '../support/reading-lines.js'
import { until } from '../support/server.js'

const DEPLOYMENT = { id: 'd', until: null, containers: ['c'], secrets: [] }
const MISSING = /^--- lines may be missing here/
const BEGIN = Date.now() + 3_600_000

function message(number: number, ms = number, size = 10): ContainerOutput {
  const seconds = new Date(BEGIN + ms).toISOString().replace('Z', '000000Z')
  return { at: seconds, stream: 'STDOUT', bytes: Buffer.from(`${String(number).padEnd(size - 1, ' ')}\n`) }
}

const range = (from: number, to: number, size?: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index, from + index, size))

/** What an engine gives each time that its log is followed, and what is in its files: the last of it is its end. */
class ScriptedLog {
  opened = 0
  looked = 0

  constructor(
    private readonly follows: readonly (readonly ContainerOutput[])[],
    public kept: readonly ContainerOutput[],
  ) {}

  get docker(): Docker {
    return { containerLogs: this.#containerLogs.bind(this) } as unknown as Docker
  }

  #containerLogs(_name: string, query: ContainerLogsQuery, signal: AbortSignal): Promise<ContainerLog> {
    const isFirst = query.follow && this.opened === 0
    const since = query.since ?? ''
    const given = query.follow
      ? (this.follows[this.opened] ?? this.kept)
      : this.kept.slice(-(query.tail ?? 0))
    if (query.follow) this.opened++
    else this.looked++
    async function* output(): AsyncGenerator<ContainerOutput> {
      yield* isFirst || !query.follow ? given : given.filter(({ at }) => at >= since)
      if (!query.follow) return
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')))
      })
    }
    return Promise.resolve(Object.assign(output(), { createdAt: new Date(0) }))
  }
}

/** Follows until `enough`; gives the lines, trimmed. */
async function follow(log: ScriptedLog, enough: (lines: readonly string[]) => boolean): Promise<string[]> {
  const outbox = new ReadingLines(DEPLOYMENT.id)
  const abort = new AbortController()
  const reading = readContainer(
    { docker: log.docker, deployment: DEPLOYMENT, name: 'c', outbox },
    true,
    abort.signal,
  )
  await until(() => enough(outbox.lines))
  abort.abort()
  await reading
  return outbox.lines
}

const numbers = (from: number, to: number) => range(from, to).map(({ bytes }) => bytes.toString().trim())
const has = (line: string) => (lines: readonly string[]) => lines.includes(line)

describe('a container that is followed', () => {
  test('is not shown again what the engine repeats when it begins a new file', async () => {
    const repeats = [...range(1, 9), ...range(4, 9), ...range(9, 9), ...range(2, 10), ...range(10, 12)]
    const log = new ScriptedLog([repeats], range(1, 12))
    assert.deepEqual(await follow(log, has('12')), numbers(1, 12))
  })

  test('is shown whole when its clock is set back', async () => {
    const back = [message(3, 1), message(4, 2), message(5, 3)]
    const log = new ScriptedLog([[message(1, 10), message(2, 11), ...back]], back)
    assert.deepEqual(await follow(log, has('5')), numbers(1, 5))
  })

  test('is opened anew where the engine skips a file, and what is still there is shown', async () => {
    const all = range(1, 2_000, 15_000)
    const log = new ScriptedLog([[...all.slice(0, 800), ...all.slice(1_667)]], all)
    const lines = await follow(log, has('2000'))
    assert.deepEqual(lines, numbers(1, 2_000))
    assert.equal(log.opened, 2)
  })

  test('says where lines are missing that the engine has deleted', async () => {
    const all = range(1, 2_000, 15_000)
    const log = new ScriptedLog([[...all.slice(0, 800), ...all.slice(1_667)]], all.slice(1_333))
    const lines = await follow(log, has('2000'))
    assert.match(lines[800] ?? '', MISSING)
    assert.deepEqual(
      [...lines.slice(0, 800), ...lines.slice(801)],
      [...numbers(1, 800), ...numbers(1_334, 2_000)],
    )
  })

  test('is not opened anew for each pause of one that writes in bursts', async () => {
    const bursts = range(1, 1_300, 15_000).map((one, index) =>
      message(index + 1, index + Math.floor(index / 33) * 20_000, 15_000),
    )
    const log = new ScriptedLog([bursts], bursts)
    assert.deepEqual(await follow(log, has('1300')), numbers(1, 1_300))
    assert.equal(log.opened, 2)
  })

  test('is opened anew when the engine gives nothing any more although there is something', async () => {
    const log = new ScriptedLog([range(1, 3)], range(1, 5))
    assert.deepEqual(await follow(log, has('5')), numbers(1, 5))
    assert.equal(log.opened, 2)
  })

  test('is not opened anew because it is silent', async () => {
    const log = new ScriptedLog([range(1, 3)], range(1, 3))
    assert.deepEqual(await follow(log, () => log.looked > 0), numbers(1, 3))
    assert.equal(log.opened, 1)
  })
})
