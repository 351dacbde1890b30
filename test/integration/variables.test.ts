import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CommandError } from '../../src/engine/command-error.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'

const MANY = 'x'.repeat(32 * 1024)

describe('variables of a stage', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))

  async function stageOf(name: string): Promise<string> {
    const app = await process.commands.apps.create({ name, repoUrl: 'https://git.invalid/x.git' })
    const sql = 'SELECT id FROM stage WHERE app_id = $1'
    return (await process.database.query<{ id: string }[]>(sql, [app.id]))[0]?.id ?? ''
  }
  async function keysOf(stageId: string): Promise<string[]> {
    const sql = 'SELECT key FROM variable WHERE stage_id = $1 ORDER BY key'
    return (await process.database.query<{ key: string }[]>(sql, [stageId])).map(({ key }) => key)
  }

  test('are left where they are not given, and removed where those that are given replace them', async () => {
    const { variables } = process.commands
    const id = await stageOf('replaced')
    await variables.import(id, 'A=1\nB=2')
    await variables.set(id, [{ key: 'C', value: '3' }])
    assert.deepEqual(await keysOf(id), ['A', 'B', 'C'])
    await variables.import(id, 'B=2\nD=4', true)
    assert.deepEqual(await keysOf(id), ['B', 'D'])
    await variables.set(id, [], true)
    assert.deepEqual(await keysOf(id), [])
  })

  test('are bounded together with those that stay, and not with those that go', async () => {
    const { variables } = process.commands
    const id = await stageOf('bounded')
    const four = ['A', 'B', 'C'].map((key) => ({ key, value: MANY }))
    await variables.set(id, four)
    const more = ['D', 'E'].map((key) => ({ key, value: MANY }))
    await assert.rejects(variables.set(id, more), CommandError)
    assert.deepEqual(await keysOf(id), ['A', 'B', 'C'])
    await variables.set(id, more, true)
    assert.deepEqual(await keysOf(id), ['D', 'E'])
  })

  test('say before an import what it would change, and do not change', async () => {
    const { variables } = process.commands
    const id = await stageOf('previewed')
    await variables.import(id, 'SAME=1\nOTHER=2\nGONE=3')
    const text = 'SAME=1\nOTHER=two\nNEW=4'
    const kept = { added: ['NEW'], changed: ['OTHER'], unchanged: ['SAME'], removed: [] }
    assert.deepEqual(await variables.preview(id, text), kept)
    assert.deepEqual(await variables.preview(id, text, true), { ...kept, removed: ['GONE'] })
    assert.deepEqual(await keysOf(id), ['GONE', 'OTHER', 'SAME'])
    await assert.rejects(variables.preview(id, 'nonsense'), (error: CommandError) => error.field === 'text')
    await assert.rejects(
      variables.preview('nothing', text),
      (error: CommandError) => error.code === 'NOT_FOUND',
    )
  })
})
