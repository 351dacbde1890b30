import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql'
import { createLogger } from '../../src/logger.js'
import { buildSchema } from '../../src/resolvers/build-schema.js'

/** They are the entry points, which every document begins with. */
const ROOTS = ['Query', 'Mutation', 'Subscription']

interface Described {
  readonly name: string
  readonly description?: string | null | undefined
}

/** A type and all that is in it, by path. */
function partsOf(type: GraphQLNamedType): [path: string, part: Described][] {
  const parts: [string, Described][] = ROOTS.includes(type.name) ? [] : [[type.name, type]]
  if (isEnumType(type)) {
    for (const value of type.getValues()) parts.push([`${type.name}.${value.name}`, value])
  }
  if (isInputObjectType(type)) {
    for (const field of Object.values(type.getFields())) parts.push([`${type.name}.${field.name}`, field])
  }
  if (isObjectType(type)) {
    for (const field of Object.values(type.getFields())) {
      parts.push([`${type.name}.${field.name}`, field])
      for (const argument of field.args)
        parts.push([`${type.name}.${field.name}(${argument.name})`, argument])
    }
  }
  return parts
}

test('every type, field, argument and value of the schema has a description', async () => {
  const schema = await buildSchema(createLogger('error'))
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type),
  )
  const parts = types.flatMap(partsOf)
  assert.ok(parts.length > 300)
  const undescribed = parts.filter(([, { description }]) => !description?.trim()).map(([path]) => path)
  assert.deepEqual(undescribed, [])
})
