import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BuildFacts, stagesOf } from '../../src/engine/docker/build-advice.js'
import { BUILD_FAILURES, buildAdvice } from '../../src/engine/docker/build-failures.js'
import { CONTEXT_FAILURES } from '../support/build-failures.js'
import { STAGES, STEP_FAILURES } from '../support/build-failures-of-steps.js'

const ROWS = { ...CONTEXT_FAILURES, ...STEP_FAILURES }

describe('what to do about a build that has failed', () => {
  for (const [what, rows] of Object.entries(ROWS)) {
    for (const { engine, builder, dockerfile = 'FROM a\n', message, lastLines = [], advice } of rows) {
      test(`${what}: ${engine}${builder ? `, ${builder}` : ''}: ${message.slice(-60)}`, async () => {
        const facts: BuildFacts = {
          isBuildkit: builder !== 'classic',
          dockerfile,
          secrets: new Set(['GIVEN']),
          variables: new Set(['PLAIN']),
          missingFile: (path) => Promise.resolve(`missing ${path}`),
          program: (path) => Promise.resolve(/other/.test(path) ? null : `program ${path}`),
        }
        assert.match(await buildAdvice({ message, lastLines }, facts), advice)
      })
    }
  }

  test('has a recorded text for each of its rows', () => {
    const all = Object.values(ROWS).flat()
    const lacking = BUILD_FAILURES.filter(
      ({ says }) => !all.some(({ message, lastLines = [] }) => says.test([message, ...lastLines].join('\n'))),
    )
    assert.deepEqual(
      lacking.map(({ name }) => name),
      [],
    )
  })

  test('names stages as a target names them', () => {
    assert.deepEqual(stagesOf(STAGES), ['one', 'Two', '2'])
    assert.deepEqual(stagesOf('# FROM x AS y\nRUN x\n'), [])
  })
})
