import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { followBuild } from '../../src/engine/docker/build-stream.js'
import { DeployError, InfrastructureError } from '../../src/engine/errors.js'

type Field = readonly [field: number, value: number | string | Buffer]

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return Buffer.from([...bytes, value])
}

function encode(...fields: readonly Field[]): Buffer {
  const parts = fields.map(([field, value]) => {
    if (typeof value === 'number') return Buffer.concat([varint(field * 8), varint(value)])
    const bytes = Buffer.from(value)
    return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes])
  })
  return Buffer.concat(parts)
}

function trace(...fields: readonly Field[]): object {
  return { id: 'moby.buildkit.trace', aux: encode(...fields).toString('base64') }
}

const vertex = (...fields: readonly Field[]): object => trace([1, encode(...fields)])
const log = (stream: number, text: string, step = 'a'): object =>
  trace([3, encode([1, step], [3, stream], [4, text])])
const TIME = encode([1, 1_790_000_000])
/** 12.345 s after it. */
const LATER = encode([1, 1_790_000_012], [2, 345_000_000])
/** Of the classic builder's steps, which are timed here. */
const untimed = (line: string): string => line.replace(/done in \d+\.\d s$/, 'done in 0.0 s')
const ID = `sha256:${'a'.repeat(64)}`
const IMAGE = { aux: { ID } }

/** Follows the messages, in pieces of `size` bytes, and gives what was written, in order. */
async function follow(messages: readonly object[], size = 7): Promise<{ id: string; written: string[] }> {
  const written: string[] = []
  const id = await followTo(
    written,
    Buffer.from(messages.map((one) => `${JSON.stringify(one)}\n`).join('')),
    size,
  )
  return { id, written }
}

function followTo(written: string[], bytes: Buffer, size: number): Promise<string> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
  }
  return followBuild(pieces(), {
    line: (text) => void written.push(`line ${text}`),
    clipped: (text) => void written.push(`clipped ${text}`),
    bytes: async ({ source, bytes: some, prefix }) => {
      await new Promise((resolve) => setImmediate(resolve))
      written.push(`${source} ${prefix}${some.toString()}`)
    },
    ended: () => undefined,
  })
}

async function failure(messages: readonly object[]): Promise<DeployError> {
  const error = await follow(messages).then(
    () => assert.fail('the build was taken for a success'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof DeployError, String(error))
  assert.equal(error.code, 'BUILD_FAILED')
  return error
}

/** Nobody's mistake: the build is to be tried again. */
const brokenOff = (messages: readonly object[]): Promise<void> =>
  assert.rejects(follow(messages), (error) => error instanceof InfrastructureError)

describe('a classic build', () => {
  test('gives the id of the image and its output, however it is cut', async () => {
    const messages = [
      { stream: 'Step 1/1 : FROM é\n' },
      { stream: ' ---> 💚\n' },
      IMAGE,
      { stream: 'Successfully built\n' },
    ]
    for (const size of [1, 2, 3, 5, 1000]) {
      const { id, written } = await follow(messages, size)
      assert.equal(id, ID)
      assert.deepEqual(written.map(untimed), [
        'STDOUT Step 1/1 : FROM é\n',
        'STDOUT  ---> 💚\n',
        'STDOUT Successfully built\n',
        'line Step 1/1 done in 0.0 s',
      ])
    }
  })

  test('fails on an error in its stream, with the exit code and the last lines', async () => {
    const text = "The command '/bin/sh -c npm test' returned a non-zero code: 42"
    const error = await failure([
      IMAGE,
      { stream: 'Successfully built aaaa\n' },
      { stream: 'one\ntw' },
      { stream: 'o\r\nthr' },
      { error: text, errorDetail: { code: 1, message: text } },
    ])
    assert.equal(error.exitCode, 42)
    assert.deepEqual(error.lastLines, ['Successfully built aaaa', 'one', 'two', 'thr'])
    assert.ok(error.message.includes(text))
  })

  test('fails with the lines of the step that failed, and tells how long those before it took', async () => {
    const written: string[] = []
    const messages = [
      { stream: 'Step 1/3 : RUN one' },
      { stream: '\n' },
      { stream: 'Step 9/9 : is what a program says\n' },
      { stream: 'no newline' },
      { stream: 'Step 2/3 : RUN two' },
      { stream: '\n' },
      { stream: ' ---> Using cache\n' },
      { stream: 'Step 3/3 : RUN three' },
      { stream: '\n' },
      { stream: 'bad\n' },
      { error: 'x', errorDetail: { code: 1, message: 'boom' } },
    ]
    const bytes = Buffer.from(messages.map((one) => `${JSON.stringify(one)}\n`).join(''))
    await assert.rejects(followTo(written, bytes, 11), (error: DeployError) => {
      assert.deepEqual(error.lastLines, ['Step 3/3 : RUN three', 'bad'])
      return true
    })
    const lines = written.filter((line) => line.startsWith('line')).map(untimed)
    assert.deepEqual(lines, ['line Step 1/3 done in 0.0 s'])
  })

  test('takes the exit code of the error where its text has none', async () => {
    assert.equal(
      (await failure([{ error: 'x', errorDetail: { code: 137, message: 'killed' } }])).exitCode,
      137,
    )
    assert.equal((await failure([{ error: 'pull access denied' }])).exitCode, null)
  })

  test('fails on an error that has only one of its two fields', async () => {
    assert.match((await failure([IMAGE, { error: 'boom' }])).message, /boom/)
    assert.match((await failure([IMAGE, { errorDetail: { message: 'bang' } }])).message, /bang/)
    await failure([IMAGE, { error: '' }])
  })

  test('that ends without an image is no success', async () => {
    await brokenOff([{ stream: 'Step 1/1 : FROM x\n' }, { stream: 'Successfully built\n' }])
    await brokenOff([])
    await brokenOff([{ aux: {} }])
  })

  test('that breaks off inside a message is no success', async () => {
    const bytes = Buffer.from(`${JSON.stringify(IMAGE)}\n{"stream":"Step 2`)
    await assert.rejects(followTo([], bytes, 9))
  })

  test('gives an image whose message has no newline', async () => {
    assert.equal(await followTo([], Buffer.from(JSON.stringify(IMAGE)), 4), ID)
  })

  test('keeps the last 100 lines, not the first', async () => {
    const numbers = [...Array(250).keys()].map((number) => ({ stream: `${number}\n` }))
    const { lastLines } = await failure([...numbers, { stream: 'half' }, { error: 'boom' }])
    assert.deepEqual([lastLines.length, lastLines[0], lastLines.at(-1)], [100, '151', 'half'])
  })

  test('says of a pull only that it began and ended', async () => {
    const { written } = await follow([
      { status: 'Pulling from library/node', id: '20' },
      { status: 'Downloading', id: 'abc' },
      { status: 'Digest: sha256:1' },
      { status: 'Status: Downloaded newer image' },
      IMAGE,
    ])
    assert.deepEqual(written, [
      'line Pulling from library/node',
      'line Digest: sha256:1',
      'line Status: Downloaded newer image',
    ])
  })
})

describe('a BuildKit build', () => {
  test('numbers its steps and says what became of each', async () => {
    const { id, written } = await follow([
      vertex([1, 'i'], [3, '[internal] load build definition'], [5, TIME], [6, TIME]),
      vertex([1, 'a'], [3, '[1/2] FROM node']),
      vertex([1, 'a'], [3, '[1/2] FROM node'], [4, 1], [5, TIME], [6, TIME]),
      vertex([1, 'b'], [3, '[2/2] RUN make'], [5, TIME]),
      log(1, 'out\n', 'b'),
      log(2, 'warning\n', 'b'),
      vertex([1, 'b'], [3, '[2/2] RUN make'], [5, TIME], [6, LATER]),
      vertex([1, 'b'], [3, '[2/2] RUN make'], [5, TIME], [6, LATER]),
      { id: 'moby.image.id', aux: { ID } },
    ])
    assert.equal(id, ID)
    assert.deepEqual(written, [
      'line #1 [1/2] FROM node',
      'line #1 CACHED',
      'line #2 [2/2] RUN make',
      'STDOUT out\n',
      'STDERR warning\n',
      'line #2 done in 12.3 s',
    ])
  })

  test('fails with the exit code, the last lines and the failing step', async () => {
    const text = 'failed to solve: process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'
    const written: string[] = []
    const failed = vertex([1, 'a'], [3, 'RUN exit 3'], [5, TIME], [6, TIME], [7, 'exit code: 3'])
    const messages = [log(1, 'before\n'), failed, { errorDetail: { code: 1, message: text }, error: text }]
    const bytes = Buffer.from(messages.map((one) => `${JSON.stringify(one)}\n`).join(''))
    await assert.rejects(followTo(written, bytes, 11), (error: DeployError) => {
      assert.deepEqual([error.code, error.exitCode, error.lastLines], ['BUILD_FAILED', 3, ['before']])
      return true
    })
    assert.deepEqual(written.slice(1), ['line #1 RUN exit 3', 'line #1 ERROR: exit code: 3'])
  })

  test('without an image id is no success, whatever its steps say', async () => {
    await brokenOff([vertex([1, 'a'], [3, 'RUN x'], [5, TIME], [6, TIME])])
  })

  test('is tried again where the engine had no time for it', async () => {
    await assert.rejects(
      follow([log(1, 'x\n'), { error: 'flightcontrol: exceeded retry timeout' }]),
      (error) => error instanceof InfrastructureError && error.code === 'DOCKER_FAILED',
    )
  })

  test('says once, and how to change it, that the engine clipped the output', async () => {
    const clipped = log(1, '[output clipped, log limit 2MiB reached]\n')
    const { written } = await follow([log(1, 'x\n'), clipped, clipped, IMAGE])
    const said = written.filter((text) => text.startsWith('clipped '))
    assert.equal(said.length, 1)
    assert.match(said[0] ?? '', /clipped.*BUILDKIT_STEP_LOG_MAX_SIZE=-1/)
    assert.deepEqual((await follow([log(1, 'x\n'), IMAGE])).written, ['STDOUT x\n'])
  })

  test('shows a character whole in its last lines that was cut between two messages', async () => {
    const euro = Buffer.from('€')
    const half = (bytes: Buffer) => trace([3, encode([1, 'a'], [3, 1], [4, bytes])])
    const messages = [half(euro.subarray(0, 1)), half(euro.subarray(1)), log(1, '\n'), { error: 'boom' }]
    assert.deepEqual((await failure(messages)).lastLines, ['€'])
  })

  test('keeps apart the lines of steps that run at the same time', async () => {
    const messages = [
      log(1, 'secret to', 'a'),
      log(1, 'other\n', 'b'),
      log(2, 'warn', 'a'),
      log(1, 'ken\n', 'a'),
      log(1, 'end', 'b'),
      vertex([1, 'a'], [3, 'RUN a'], [5, TIME], [6, TIME], [7, 'boom']),
      { error: 'boom' },
    ]
    assert.deepEqual((await failure(messages)).lastLines, ['secret token', 'warn'])
  })

  /** As 20.10 tells of a stage that fails beside a noisy one, which it then cancels. */
  const beside = (failing: string, noisy: string): object[] => {
    const run = (step: string, ...more: readonly Field[]) =>
      vertex([1, step], [3, `[${step} 2/2] RUN ${step}`], [5, TIME], ...more)
    const ended = (step: string, why: string) => run(step, [6, LATER], [7, why])
    const why = 'executor failed running [two]: exit code: 3'
    return [
      run(noisy),
      run(failing),
      ...[...Array(200).keys()].map((number) => log(1, `noise ${number}\n`, noisy)),
      log(1, 'bad\n', failing),
      log(1, 'more noise\n', noisy),
      ended(noisy, 'executor failed running [one]: exit code: 137: context canceled: context canceled'),
      ended(failing, why),
      { errorDetail: { message: why } },
    ]
  }

  test('fails with the lines of the step that failed, not of a noisy one beside it', async () => {
    const { exitCode, lastLines } = await failure(beside('two', 'one'))
    assert.deepEqual([exitCode, lastLines], [3, ['bad']])
  })

  test('takes the lines of the step that was not cancelled where the message names none', async () => {
    const messages = [...beside('two', 'one').slice(0, -1), { error: 'failed to solve' }]
    assert.deepEqual((await failure(messages)).lastLines, ['bad'])
  })

  test('has no last lines of others where a step fails that wrote nothing', async () => {
    const copy = [
      [1, 'c'],
      [3, 'COPY x'],
      [5, TIME],
      [6, TIME],
      [7, '"/x" not found'],
    ] as const
    const messages = [log(1, 'noise\n', 'one'), vertex(...copy), { error: '"/x" not found: not found' }]
    assert.deepEqual((await failure(messages)).lastLines, [])
    const failing = vertex([1, 'd'], [3, 'RUN false'], [5, TIME], [6, TIME], [7, 'exit code: 1'])
    const silent = await failure([failing, { error: 'executor failed running [false]: exit code: 1' }])
    assert.ok(!silent.message.includes('last lines'), silent.message)
  })

  test('says of each line whose it is where steps run at the same time', async () => {
    const run = (step: string, ...more: readonly Field[]) =>
      vertex([1, step], [3, `RUN ${step}`], [5, TIME], ...more)
    const { written } = await follow([
      run('a'),
      log(1, 'alone\n', 'a'),
      run('b'),
      log(1, 'of a\n', 'a'),
      log(2, 'of b\n', 'b'),
      run('b', [6, LATER]),
      log(1, 'after b\n', 'a'),
      run('a', [6, LATER]),
      run('c'),
      log(1, 'of c\n', 'c'),
      IMAGE,
    ])
    assert.deepEqual(written, [
      'line #1 RUN a',
      'STDOUT alone\n',
      'line #2 RUN b',
      'STDOUT #1 of a\n',
      'STDERR #2 of b\n',
      'line #2 done in 12.3 s',
      'STDOUT #1 after b\n',
      'line #1 done in 12.3 s',
      'line #3 RUN c',
      'STDOUT of c\n',
    ])
  })

  test('keeps of a progress bar its last state, however long it was', async () => {
    const bar = `${'Receiving objects: 12%\r'.repeat(2_000)}`
    for (const end of ['done\n', 'done\r\n', 'done']) {
      const { lastLines } = await failure([log(1, bar), log(1, bar), log(1, end), { error: 'boom' }])
      assert.equal(lastLines.length, 1)
      assert.match(lastLines[0] ?? '', /(?:^|\r)done\r?$/)
    }
  })

  test('leaves out a line whole that is too long for its last lines', async () => {
    const long = 'x'.repeat(40_000)
    const messages = [
      log(1, `a\n${long}`),
      log(1, long),
      log(1, 'token'),
      log(1, '\nb\n'),
      log(1, long + long),
    ]
    const said = '[a line of more than 64 KiB]'
    const { lastLines } = await failure([...messages, { error: 'boom' }])
    assert.deepEqual(lastLines, ['a', said, 'b', said])
  })

  test('whose trace cannot be read is no success', async () => {
    const broken = { id: 'moby.buildkit.trace', aux: Buffer.from([10, 99, 1]).toString('base64') }
    await assert.rejects(follow([broken, IMAGE]))
  })
})
