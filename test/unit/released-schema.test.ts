import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { buildSchema, findBreakingChanges, type GraphQLSchema, isEnumType, isObjectType } from 'graphql'
import { printedSchema } from '../../src/resolvers/build-schema.js'

const RELEASED = join(import.meta.dirname, '../../../docs/released-schema.graphql')
/** Breaking changes that are meant, by their description, with where it is said why. */
const MEANT: Readonly<Record<string, string>> = {}
/** Of what a deprecation says: what to use, and until when it works. */
const DEPRECATION = /^Use .+\. Removed after \d{4}-\d{2}-\d{2}\.$/

describe('the schema, compared with that of the last release', () => {
  test('breaks no client', async () => {
    const found = breaking(readFileSync(RELEASED, 'utf8'), await printedSchema())
    assert.deepEqual(found, Object.keys(MEANT))
  })

  test('would break one that reads a field, a value or a null that is not there any more', () => {
    const before =
      'enum Mood { GOOD BAD } type Query { name: String! mood: Mood! list(first: Int): [String!]! }'
    const after =
      'enum Mood { GOOD } type Query { name: String mood: Mood! list(first: Int!, by: Mood!): [String!]! }'
    assert.equal(breaking(before, after).length, 4)
    assert.deepEqual(breaking(before, `${before.slice(0, -1)} more: Int }`), [])
  })

  test('says of what is deprecated what to use, and until when it works', async () => {
    const reasons = deprecations(buildSchema(await printedSchema()))
    assert.deepEqual(
      reasons.filter((reason) => !DEPRECATION.test(reason)),
      [],
    )
  })
})

function breaking(before: string, after: string): string[] {
  return findBreakingChanges(buildSchema(before), buildSchema(after)).map(({ description }) => description)
}

function deprecations(schema: GraphQLSchema): string[] {
  return Object.values(schema.getTypeMap()).flatMap((type) => {
    if (isEnumType(type)) return type.getValues().flatMap(({ deprecationReason }) => deprecationReason ?? [])
    if (!isObjectType(type)) return []
    const fields = Object.values(type.getFields())
    return fields.flatMap(({ deprecationReason, args }) => [
      ...(deprecationReason ? [deprecationReason] : []),
      ...args.flatMap((argument) => argument.deprecationReason ?? []),
    ])
  })
}
