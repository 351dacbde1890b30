import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DeployError } from '../../src/engine/errors.js'
import {
  type Field,
  vertex,
  log,
  TIME,
  LATER,
  untimed,
  IMAGE,
  follow,
  followTo,
  failure,
} from '../support/build-messages.js'

describe('the steps of a build', () => {
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
})
