import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import { NEXT_STATUSES } from '../../src/engine/queue/states.js'

const ROOT = new URL('../../../', import.meta.url)
const DRAWN = readFileSync(new URL('docs/states.md', ROOT), 'utf8')

describe('docs/states.md', () => {
  test('draws the changes that are allowed, each of them and no other', () => {
    const [, diagram = ''] = /^stateDiagram-v2\n([\s\S]*?)^```$/m.exec(DRAWN) ?? []
    const arrows = [...diagram.matchAll(/^ +(\w+) --> (\w+)(?:$|:)/gm)].map(
      ([, from, to]) => `${from} --> ${to}`,
    )
    const allowed = Object.entries(NEXT_STATUSES).flatMap(([from, next]) =>
      next.map((to) => `${from} --> ${to}`),
    )
    assert.ok(allowed.length > 20)
    assert.deepEqual(arrows.sort(), allowed.sort())
  })

  test('says of each state what a crash does', () => {
    const rows = [...DRAWN.matchAll(/^\| ([A-Z][A-Z_, ]*?) +\|(.*)\|$/gm)].map(
      ([, states = '', rest = '']) => {
        return { states: states.split(', '), cells: rest.split('|').map((cell) => cell.trim()) }
      },
    )
    assert.deepEqual(rows.flatMap(({ states }) => states).sort(), Object.values(DeploymentStatus).sort())
    for (const { states, cells } of rows) assert.ok(cells.length === 3 && cells.every(Boolean), states.join())
  })
})
