import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  buildSchema,
  LoneAnonymousOperationRule,
  NoUnusedFragmentsRule,
  parse,
  specifiedRules,
  validate,
} from 'graphql'

// dist/test/unit → the project's root
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGES = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => join('docs', name))].filter(
  (name) => name.endsWith('.md'),
)
/** Of the rules for documents that are sent: an example shows several, one after the other, or a part of one. */
const RULES = specifiedRules.filter(
  (rule) => rule !== LoneAnonymousOperationRule && rule !== NoUnusedFragmentsRule,
)

test('each GraphQL example of the documentation is valid', () => {
  const schema = buildSchema(readFileSync(join(ROOT, 'schema.graphql'), 'utf8'))
  let count = 0
  for (const page of PAGES) {
    for (const [, text = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(/```graphql\n([^]*?)```/g)) {
      const errors = validate(schema, parse(text), RULES)
      assert.deepEqual(errors.map(String), [], `${page}:\n${text}`)
      count++
    }
  }
  assert.ok(count > 5, `only ${count} examples`)
})
