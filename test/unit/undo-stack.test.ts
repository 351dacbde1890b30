import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import { describe, mock, test } from 'node:test'
import { UndoStack } from '../../src/engine/undo-stack.js'

function unexpected(error: unknown): void {
  assert.fail(`no error was expected: ${String(error)}`)
}

function stackOf(done: string[], names: readonly string[]): UndoStack {
  const stack = new UndoStack()
  for (const name of names) {
    stack.push(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      done.push(name)
    })
  }
  return stack
}

describe('the undo stack', () => {
  test('undoes the newest first, one after the other', async () => {
    const done: string[] = []
    await stackOf(done, ['clone', 'image', 'container']).run(unexpected)
    assert.deepEqual(done, ['container', 'image', 'clone'])
  })

  test('goes on after an undo that failed, and says each failure', async () => {
    const done: string[] = []
    const errors: unknown[] = []
    const stack = stackOf(done, ['clone'])
    stack.push(() => Promise.reject(new Error('first')))
    stack.push(() => Promise.reject(new Error('second')))
    await stack.run((error) => errors.push((error as Error).message))
    assert.deepEqual(done, ['clone'])
    assert.deepEqual(errors, ['second', 'first'])
  })

  test('goes on after an undo that throws before it waits for anything', async () => {
    const done: string[] = []
    const errors: unknown[] = []
    const stack = stackOf(done, ['clone'])
    stack.push(() => {
      throw new Error('at once')
    })
    await stack.run((error) => errors.push((error as Error).message))
    assert.deepEqual(done, ['clone'])
    assert.deepEqual(errors, ['at once'])
  })

  test('undoes everything once', async () => {
    const done: string[] = []
    const stack = stackOf(done, ['clone'])
    await stack.run(unexpected)
    await stack.run(unexpected)
    assert.deepEqual(done, ['clone'])
  })

  test('does nothing where nothing was done', async () => {
    await new UndoStack().run(unexpected)
  })

  test('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    await stackOf([], ['clone']).run(unexpected)
    assert.equal(timers(), before)
  })

  test('waits 15 seconds for an undo that hangs, and not longer', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    syncBuiltinESMExports() // so that the stack's own import is the mocked one
    try {
      const stack = new UndoStack()
      stack.push(() => new Promise(() => undefined))
      let ended = false
      const run = stack.run(unexpected).then(() => (ended = true))
      mock.timers.tick(14_999)
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(ended, false)
      mock.timers.tick(1)
      await run
    } finally {
      mock.timers.reset()
      syncBuiltinESMExports()
    }
  })
})
