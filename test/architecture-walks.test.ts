import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'

// dist/test → the project's root
const ROOT = join(import.meta.dirname, '../..')
const TEXT = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')

/** A section of docs/architecture.md, the most files that it may name, and where it begins anew: another process. */
const WALKS: readonly [heading: string, atMost: number, beginnings: readonly string[]][] = [
  ['First walk: a deployment', 20, ['engine/engine.ts']],
  ['Second walk: a line of a log', 10, ['resolvers/log-resolver.ts', 'http/subscriptions.ts']],
]

describe('a walk of docs/architecture.md', () => {
  for (const [heading, atMost, beginnings] of WALKS) {
    test(`"${heading}" names at most ${atMost} files, each once and in the order of their imports`, () => {
      const files = filesOf(heading)
      assert.ok(files.length > 3 && files.length <= atMost, `${files.length} files: ${files.join(', ')}`)
      assert.deepEqual([...new Set(files)], files)
      for (const [index, file] of files.entries()) {
        assert.ok(existsSync(join(ROOT, 'src', file)), file)
        const before = files.slice(0, index)
        // Directly, or over the file that has the type by which it is handed on.
        const near = before.flatMap(importsOf)
        const isImported = near.includes(file) || near.flatMap(importsOf).includes(file)
        assert.ok(
          index === 0 || beginnings.includes(file) || isImported,
          `${file} is imported by none before it`,
        )
      }
    })
  }
})

function filesOf(heading: string): string[] {
  const section = TEXT.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/`((?:engine|resolvers|http|schema)\/[\w./-]+\.ts)`/g)].map(
    ([, path = '']) => path,
  )
}

function importsOf(path: string): string[] {
  if (!path.endsWith('.ts')) return []
  const file = join(ROOT, 'src', path)
  const specifiers = [...readFileSync(file, 'utf8').matchAll(/\sfrom '(\.[^']+)'/g)].map(
    ([, name = '']) => name,
  )
  return specifiers.map((name) =>
    relative(join(ROOT, 'src'), join(dirname(file), name)).replace(/\.js$/, '.ts'),
  )
}
