import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { codegen } from '@graphql-codegen/core'
import { preset } from '@graphql-codegen/client-preset'
import { buildSchema, parse } from 'graphql'

const ROOT = import.meta.dirname
/** Also served by every Longshore at /graphql/schema. */
const SCHEMA = join(ROOT, '../../schema.graphql')
const OPERATIONS = join(ROOT, 'src/longshore/operations.ts')
const OUTPUT = 'src/longshore/gql/'

/** Writes typed documents for the operations: what the command line of GraphQL Code Generator does, without its packages. */
const schemaAst = buildSchema(readFileSync(SCHEMA, 'utf8'))
const source = readFileSync(OPERATIONS, 'utf8')
const documents = [...source.matchAll(/graphql\(`([^`]*)`\)/g)].map(([, text]) => ({
  location: OPERATIONS,
  document: parse(text),
  rawSDL: text,
}))
const sections = await preset.buildGeneratesSection({
  baseOutputDir: OUTPUT,
  schema: parse(readFileSync(SCHEMA, 'utf8')),
  schemaAst,
  documents,
  config: {
    useTypeImports: true,
    // Unions of strings: a value that a later version of the API adds is no surprise at run time.
    enumsAsTypes: true,
    onlyOperationTypes: true,
    strictScalars: true,
    scalars: { DateTime: 'string' },
  },
  presetConfig: { fragmentMasking: false },
  pluginMap: {},
  plugins: [],
})
for (const section of sections) {
  const path = join(ROOT, section.filename)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, await codegen(section))
}
