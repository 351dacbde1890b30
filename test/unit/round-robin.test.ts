import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RoundRobin } from '../../src/engine/routing/round-robin.js'

describe('round robin over replicas', () => {
  const NONE = new Set<string>()
  const target = { deploymentId: 'one', addresses: ['a', 'b', 'c'], port: 1 }

  test('go round for each deployment by itself', () => {
    const roundRobin = new RoundRobin()
    const seen = Array.from({ length: 6 }, () => {
      roundRobin.take({ ...target, deploymentId: 'two' }, NONE)
      return roundRobin.take(target, NONE)
    })
    assert.deepEqual(seen, ['a', 'b', 'c', 'a', 'b', 'c'])
  })

  test('pass over those that were tried, while there are others', () => {
    const roundRobin = new RoundRobin()
    for (const first of ['a', 'b', 'c']) {
      const tried = new Set<string>()
      for (let time = 0; time < 3; time++) tried.add(roundRobin.take(target, tried))
      assert.equal([...tried][0], first)
      assert.equal(tried.size, 3)
      assert.ok(target.addresses.includes(roundRobin.take(target, tried)))
    }
  })

  test('are kept of deployments that are served, also of one that has fewer replicas by now', () => {
    const roundRobin = new RoundRobin()
    for (let time = 0; time < 5; time++) roundRobin.take(target, NONE)
    assert.equal(roundRobin.take({ ...target, addresses: ['a'] }, NONE), 'a')
    roundRobin.take(target, NONE)
    roundRobin.keepOnly(new Set(['two']))
    assert.equal(roundRobin.take(target, NONE), 'a')
  })
})
