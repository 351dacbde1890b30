import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Needles } from '../../src/engine/logs/needles.js'
import { Redactor } from '../../src/engine/logs/redactor.js'
import { mixedTexts } from '../support/mixed-texts.js'

const texts = fc.array(fc.stringMatching(/^[ab]{6,10}$/), { maxLength: 8 })
const text = fc.stringMatching(/^[abc]{0,30}$/)

describe('many texts', () => {
  test('are found where each of them is, the longest at each place', () => {
    fc.assert(
      fc.property(texts, text, fc.nat(40), (needles, one, limit) => {
        const slowly = [...one.slice(0, limit)].flatMap((_, start) => {
          const lengths = needles
            .filter((needle) => one.startsWith(needle, start))
            .map(({ length }) => length)
          return lengths.length === 0 ? [] : [[start, start + Math.max(...lengths)]]
        })
        assert.deepEqual([...new Needles(needles).findIn(one, limit)], slowly)
      }),
      { numRuns: 5_000 },
    )
  })

  test('are told by their beginnings at the end of a text', () => {
    fc.assert(
      fc.property(texts, text, (needles, one) => {
        const lengths = [...one].map((_, start) => one.length - start)
        const slowly = lengths.find((length) => {
          const end = one.slice(one.length - length)
          return needles.some((needle) => needle !== end && needle.startsWith(end))
        })
        assert.equal(new Needles(needles).unfinishedIn(one), slowly ?? 0)
      }),
      { numRuns: 5_000 },
    )
  })
})

test('ten thousand secrets are masked, and nothing else, in a log of many lines', () => {
  const all = mixedTexts(20, 'abcdefgh')
  const secrets = Array.from({ length: 10_000 }, () => all.next().value)
  const redactor = new Redactor(secrets)
  const lines = secrets.map((secret, index) => `${index}: ${index % 10 === 0 ? secret : 'none'}\n`)
  const shown = lines.map((line) => redactor.write(Buffer.from(line)))
  const masked = lines.map((_, index) => `${index}: ${index % 10 === 0 ? '[REDACTED]' : 'none'}\n`)
  assert.equal(Buffer.concat([...shown, redactor.flush()]).toString(), masked.join(''))
})

test('the password of a URL is masked where it stands behind a long text without any', () => {
  const redactor = new Redactor([`${'abc123'.repeat(5_000)}://app:swordfish@db`])
  assert.equal(redactor.mask('[swordfish]'), '[[REDACTED]]')
})
