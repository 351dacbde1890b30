import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type DeployError, InfrastructureError } from '../../src/engine/errors.js'
import {
  vertex,
  log,
  trace,
  encode,
  TIME,
  LATER,
  untimed,
  ID,
  IMAGE,
  follow,
  followTo,
  failure,
} from '../support/build-messages.js'

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
