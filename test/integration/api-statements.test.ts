import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Logger as QueryLogger } from 'typeorm'
import type { ApiServer } from '../support/api-server.js'
import { useApi } from '../support/use-api.js'

const APPS = 50
const DASHBOARD = `query ($first: Int!) { apps(first: $first) { nodes {
  name url latestDeployment { status url commitSha createdAt error { code } canCancel } } } }`
const STAGES = `query ($first: Int!) { apps(first: $first) { nodes { name
  stages { name url current { id status } domains { host } variables { key } app { name } }
  latestDeployment { app { name } stage { name } events { to } queuePosition } webhook { url } } } }`

describe('how many statements a query takes', () => {
  let api: ApiServer
  const statements: string[] = []

  useApi(async (opened, process) => {
    api = opened
    for (let count = 0; count < APPS; count++) {
      await process.commands.apps.create({ name: `app-${count}`, repoUrl: 'https://git.invalid/x.git' })
    }
    const logQuery = (statement: string) => void statements.push(statement)
    const logger = { logQuery } as unknown as QueryLogger
    process.database.setOptions({ logging: true, logger })
  })

  async function statementsOf(query: string, first: number): Promise<string[]> {
    statements.length = 0
    const { data, errors } = await api.post(query, { first })
    assert.equal(errors, undefined, JSON.stringify(errors))
    const { nodes } = data?.apps as { nodes: { latestDeployment: object | null }[] }
    assert.equal(nodes.length, first)
    assert.ok(nodes.every(({ latestDeployment }) => latestDeployment !== null))
    return [...statements]
  }

  test('a list of 50 apps with their latest deployments: two, as its apps are not read again for their names', async () => {
    const made = await statementsOf(DASHBOARD, APPS)
    assert.equal(made.length, 2, made.join('\n'))
  })

  test('all that belongs to apps: as many for 50 of them as for two', async () => {
    const two = await statementsOf(STAGES, 2)
    const fifty = await statementsOf(STAGES, APPS)
    assert.equal(fifty.length, two.length, fifty.slice(two.length).join('\n'))
  })
})
