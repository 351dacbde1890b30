import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { buildSchema, parse, validate } from 'graphql'

const ROOT = join(import.meta.dirname, '../../..')
const SOURCE = readFileSync(join(ROOT, 'web/explorer/explorer.js'), 'utf8')
const SCHEMA = buildSchema(readFileSync(join(ROOT, 'schema.graphql'), 'utf8'))

describe("the explorer's examples", () => {
  const [, list = ''] = /^const TABS = \[([^]*?)^\]/m.exec(SOURCE) ?? []
  const documents = [...list.matchAll(/`([^`]*)`/g)].map(([, text = '']) => text)

  test('are of the tasks that a newcomer has, one in each tab', () => {
    const names = documents.map((text) => /\b(?:query|mutation|subscription) (\w+)/.exec(text)?.[1])
    const wanted = ['Apps', 'CreateApp', 'FollowLog', 'Deploy', 'Rollback', 'SetVariables']
    assert.deepEqual(names, wanted)
  })

  for (const text of documents) {
    test(`${text.split('\n')[0]}`, () => {
      assert.deepEqual(validate(SCHEMA, parse(text)), [])
    })
  }
})
