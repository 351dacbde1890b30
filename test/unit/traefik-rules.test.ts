import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fuzzRules, tokenize } from '../support/rules.js'

/** `npm run bench -- rules` tries a million. */
const RUNS = Number(process.env.RULE_RUNS ?? 20_000)

describe('rules of Traefik', () => {
  test('are told apart by the tokenizer that judges them', () => {
    const host = (...args: string[]) => ({ name: 'Host', args })
    assert.deepEqual(tokenize('Host(`a.b`)'), { matchers: [host('a.b')], operators: [] })
    assert.deepEqual(tokenize('Host(`a`) || Host(`b`)'), {
      matchers: [host('a'), host('b')],
      operators: ['||'],
    })
    assert.deepEqual(tokenize('!(Host("a", `b`) && PathPrefix(`/x`))'), {
      matchers: [host('a', 'b'), { name: 'PathPrefix', args: ['/x'] }],
      operators: ['!', '(', '&&'],
    })
    for (const bad of ['Host(`a`', 'Host(`a)', '`a`', 'Host(a)', 'Host(`a`) ; x']) {
      assert.throws(() => tokenize(bad), bad)
    }
  })

  test(`hold one Host matcher and nothing else, in files and in labels, whatever ${RUNS} names say`, () => {
    const tally = fuzzRules(RUNS)
    for (const count of Object.values(tally)) assert.ok(count > RUNS / 50, JSON.stringify(tally))
  })
})
