import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  buildSchema,
  getNamedType,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  isInterfaceType,
  isObjectType,
} from 'graphql'
import { runProgram } from '../../src/process.js'
import { printedSchema } from '../../src/resolvers/build-schema.js'

const COMPILER = join(import.meta.dirname, '../../../node_modules/relay-compiler/cli.js')

/** What a Relay client declares of our types: pages by cursor, and refetching by id. */
describe("Relay's compiler takes the schema", () => {
  let folder = ''
  let schema: GraphQLSchema
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'longshore-relay-'))
    schema = buildSchema(await printedSchema())
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  async function compile(name: string, documents: readonly string[]) {
    const project = join(folder, name)
    mkdirSync(join(project, 'src'), { recursive: true })
    writeFileSync(join(project, 'schema.graphql'), await printedSchema())
    const source = documents.map((document) => `graphql\`${document}\``).join('\n')
    writeFileSync(join(project, 'src', 'Screen.ts'), `import { graphql } from 'relay-runtime'\n${source}\n`)
    const config = { src: './src', schema: './schema.graphql', language: 'typescript' }
    writeFileSync(join(project, 'relay.config.json'), JSON.stringify(config))
    const args = [COMPILER, join(project, 'relay.config.json')]
    return runProgram(process.execPath, args, { cwd: project })
  }

  test('with @connection on each list', async () => {
    const documents = listsOf(schema).map(([type, field]) => {
      const page = `${field.name}(first: 10) @connection(key: "Screen_${type.name}_${field.name}") { edges { node { __typename } } }`
      return type === schema.getQueryType()
        ? `query Screen${field.name}Query { ${page} }`
        : `fragment Screen_${type.name}${field.name} on ${type.name} { ${page} }`
    })
    assert.ok(documents.length >= 3, `only ${documents.length} lists`)
    const { exitCode, stderr, stdout } = await compile('lists', documents)
    assert.equal(exitCode, 0, `${stdout}${stderr}`)
  })

  test('with @refetchable on each Node', async () => {
    const node = schema.getType('Node')
    assert.ok(isInterfaceType(node))
    const types = schema.getPossibleTypes(node)
    const documents = types.map(
      ({ name }) => `fragment Screen_${name} on ${name} @refetchable(queryName: "Screen${name}Query") { id }`,
    )
    assert.ok(documents.length >= 3, `only ${documents.length} nodes`)
    const { exitCode, stderr, stdout } = await compile('nodes', documents)
    assert.equal(exitCode, 0, `${stdout}${stderr}`)
  })

  test('and refuses what it does not know', async () => {
    const { exitCode } = await compile('wrong', ['query ScreenQuery { nothing }'])
    assert.notEqual(exitCode, 0)
  })
})

function listsOf(schema: GraphQLSchema): [GraphQLObjectType, GraphQLField<unknown, unknown>][] {
  const types = Object.values(schema.getTypeMap()).filter(isObjectType)
  return types.flatMap((type) =>
    Object.values(type.getFields())
      .filter((field) => getNamedType(field.type).name.endsWith('Connection'))
      .map((field): [GraphQLObjectType, GraphQLField<unknown, unknown>] => [type, field]),
  )
}
