import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import {
  buildSchema,
  getNamedType,
  getNullableType,
  type GraphQLInputField,
  isInputObjectType,
  isListType,
} from 'graphql'
import { ConfigError, readConfig } from '../../src/config.js'
import { STAGE_NUMBERS } from '../../src/engine/commands/stage-settings.js'

// dist/test/unit → the project's root
const ROOT = join(import.meta.dirname, '../../..')
const REFERENCE = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8')
const SCHEMA = buildSchema(readFileSync(join(ROOT, 'schema.graphql'), 'utf8'))

interface Row {
  readonly name: string
  /** Null: said in words. */
  readonly fallback: string | null
  /** The whole line, without marks of emphasis. */
  readonly text: string
}

/** The rows of the first table below a heading, one for each name in their first column. */
function rowsBelow(heading: string): Row[] {
  const section = REFERENCE.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => /^\| *`/.test(line))
  return lines.flatMap((line) => {
    const [, first = '', second = ''] = line.split('|')
    const [names, fallbacks] = [first, second].map((cell) =>
      [...cell.matchAll(/`([^`]*)`/g)].map(([, text]) => text),
    )
    return (names ?? []).map((name = '', index) => {
      const fallback = fallbacks?.length === names?.length ? (fallbacks?.[index] ?? null) : null
      return { name, fallback, text: line }
    })
  })
}

/** What a new app takes for its production stage: among the fields of a stage. */
const OF_STAGE = /^(?:healthCheck|limits)(?:\.|$)|^(?:command|replicas)$/

/** The names of all settings that the server reads. */
function settingsRead(): string[] {
  const names = new Set<string>()
  readConfig(
    new Proxy(
      {},
      {
        get: (_target, name) => {
          names.add(String(name))
          return undefined
        },
      },
    ),
  )
  return [...names]
}

/** `1 to 64`, as the error for a setting says it; null: it takes no number. */
function boundsOf(name: string): string | null {
  try {
    readConfig({ [name]: 'many' })
    return null
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return /is not a whole number from (\d+ to \d+)/.exec(error.message)?.[1] ?? null
  }
}

/** The fields of an input type, those of a group in it by `group.field`. */
function fieldsOf(type: string, prefix = ''): [name: string, field: GraphQLInputField][] {
  const input = SCHEMA.getType(type)
  assert.ok(isInputObjectType(input), type)
  return Object.values(input.getFields()).flatMap((field): [string, GraphQLInputField][] => {
    const inner = getNamedType(field.type)
    const isGroup = isInputObjectType(inner) && !isListType(getNullableType(field.type))
    return isGroup ? fieldsOf(inner.name, `${prefix}${field.name}.`) : [[`${prefix}${field.name}`, field]]
  })
}

describe('docs/configuration.md', () => {
  test('names the settings that the server reads, all of them and no other', () => {
    const named = rowsBelow('Configuration').map(({ name }) => name)
    assert.deepEqual(named.toSorted(), settingsRead().sort())
  })

  test('gives the defaults: set by hand they change nothing', () => {
    const { workerId: _one, ...defaults } = readConfig({})
    let compared = 0
    for (const { name, fallback } of rowsBelow('Configuration')) {
      if (fallback === null || name === 'TRAEFIK_URL') continue // that one depends on ROUTER
      const { workerId: _two, ...config } = readConfig({ [name]: fallback })
      assert.deepEqual(config, defaults, `${name}=${fallback}`)
      compared += 1
    }
    assert.ok(compared > 25, 'most have one')
  })

  test('gives the bounds of each number', () => {
    const rows = rowsBelow('Configuration')
    let compared = 0
    for (const { name, text } of rows) {
      const bounds = boundsOf(name)
      if (bounds === null) continue
      assert.ok(text.includes(bounds), `the row of ${name} does not say "${bounds}"`)
      compared += 1
    }
    assert.ok(compared > 15)
  })

  test('names the fields of an app, with their defaults', () => {
    const rows = rowsBelow('Fields of an app')
    const fields = new Map(
      [...fieldsOf('UpdateAppInput'), ...fieldsOf('CreateAppInput')].filter(([name]) => !OF_STAGE.test(name)),
    )
    assert.deepEqual(rows.map(({ name }) => name).sort(), [...fields.keys()].sort())
    for (const { name, fallback } of rows) {
      const value: unknown = fields.get(name)?.defaultValue
      const expected = typeof value === 'string' || typeof value === 'boolean' ? String(value) : null
      assert.equal(fallback, expected, name)
    }
  })

  test('names the fields of a stage, with their defaults and bounds', () => {
    const rows = rowsBelow('Fields of a stage')
    const fields = new Map(fieldsOf('UpdateStageInput'))
    assert.deepEqual(rows.map(({ name }) => name).sort(), [...fields.keys()].sort())
    for (const [name, { min, max, fallback }] of Object.entries(STAGE_NUMBERS)) {
      const row = rows.find((one) => one.name === name)
      assert.ok(row, `${name} is not named`)
      assert.ok(row.text.includes(`${min} to ${max}`), `the row of ${name} does not say "${min} to ${max}"`)
      assert.equal(row.fallback, fallback === null ? null : String(fallback), name)
    }
  })
})
