import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Turns } from '../../src/engine/routing/turns.js'

describe('the turns of replicas', () => {
  const NONE = new Set<string>()
  const target = { deploymentId: 'one', addresses: ['a', 'b', 'c'], port: 1 }

  test('go round for each deployment by itself', () => {
    const turns = new Turns()
    const seen = Array.from({ length: 6 }, () => {
      turns.take({ ...target, deploymentId: 'two' }, NONE)
      return turns.take(target, NONE)
    })
    assert.deepEqual(seen, ['a', 'b', 'c', 'a', 'b', 'c'])
  })

  test('pass over those that were tried, while there are others', () => {
    const turns = new Turns()
    for (const first of ['a', 'b', 'c']) {
      const tried = new Set<string>()
      for (let time = 0; time < 3; time++) tried.add(turns.take(target, tried))
      assert.equal([...tried][0], first)
      assert.equal(tried.size, 3)
      assert.ok(target.addresses.includes(turns.take(target, tried)))
    }
  })

  test('are kept of deployments that are served, also of one that has fewer replicas by now', () => {
    const turns = new Turns()
    for (let time = 0; time < 5; time++) turns.take(target, NONE)
    assert.equal(turns.take({ ...target, addresses: ['a'] }, NONE), 'a')
    turns.take(target, NONE)
    turns.keepOnly(new Set(['two']))
    assert.equal(turns.take(target, NONE), 'a')
  })
})
