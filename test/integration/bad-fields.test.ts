import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiServer } from '../support/api-server.js'
import type { TestProcess } from '../support/engine.js'
import { TOKEN } from '../support/server.js'
import { useApi } from '../support/use-api.js'

const REPO = 'https://git.invalid/x.git'
const CREATE = `mutation ($input: CreateAppInput!) { createApp(input: $input) { id name
  stage { replicas healthCheck { path } limits { cpus } domains { host } } latestDeployment { actor trigger } } }`

interface FieldError {
  readonly field: string
  readonly message: string
}

describe('input that is wrong', () => {
  let process: TestProcess
  let api: ApiServer
  useApi((opened, used) => ([api, process] = [opened, used]))

  /** What is refused, by field; the message does not repeat the field. */
  async function refused(query: string, variables: object): Promise<FieldError[]> {
    const { errors } = await api.post(query, variables)
    const extensions = errors?.[0]?.extensions as { code: string; field: string; fields: FieldError[] }
    assert.equal(extensions.code, 'BAD_USER_INPUT', JSON.stringify(errors))
    assert.equal(extensions.field, extensions.fields[0]?.field)
    for (const { field, message } of extensions.fields) assert.ok(!message.startsWith(field), message)
    return extensions.fields
  }
  const namesOf = (fields: readonly FieldError[]) => fields.map(({ field }) => field)

  async function create(name: string) {
    const app = await process.commands.apps.create({ name, repoUrl: REPO })
    const rows = await process.database.query<{ id: string }[]>('SELECT id FROM stage WHERE app_id = $1', [
      app.id,
    ])
    return { app, stageId: rows[0]?.id ?? '' }
  }

  test('is named whole: a new app', async () => {
    const input = {
      ...{ name: 'Bad Name', repoUrl: 'nonsense', branch: '-x', contextPath: '../up', port: 0 },
      variables: [
        { key: '1', value: 'x' },
        { key: 'OK', value: 'a\0b' },
      ],
      domains: ['not a host', 'ok.example.com', '-'],
      ...{ healthCheck: { path: 'no-slash', timeoutSeconds: 0 }, limits: { cpus: 1000 }, replicas: 99 },
    }
    assert.deepEqual(namesOf(await refused(CREATE, { input })), [
      ...['name', 'repoUrl', 'branch', 'contextPath', 'port'],
      ...['replicas', 'healthCheck.timeoutSeconds', 'limits.cpus', 'healthCheck.path'],
      ...['domains[0]', 'domains[2]', 'variables[0].key', 'variables[1].value'],
    ])
    assert.equal((await process.database.query<unknown[]>('SELECT 1 FROM app')).length, 0)
  })

  test('is named whole: stages, variables and .env texts', async () => {
    const { app, stageId } = await create('shop')
    const stage =
      'mutation ($id: ID!, $input: UpdateStageInput!) { updateStage(id: $id, input: $input) { id } }'
    const input = { replicas: 0, branch: '-x', command: [], limits: { pids: 1, memoryBytes: 1 } }
    assert.deepEqual(namesOf(await refused(stage, { id: stageId, input })), [
      ...['replicas', 'limits.memoryBytes', 'limits.pids', 'branch', 'command'],
    ])
    const newStage = 'mutation ($id: ID!) { createStage(appId: $id, name: "No Label", branch: "-x") { id } }'
    assert.deepEqual(namesOf(await refused(newStage, { id: app.id })), ['name', 'branch'])
    const text = 'A=1\nnonsense\nB="x" y\n2=3\nC=\'open'
    const imported =
      'mutation ($id: ID!, $text: String!) { importVariables(stageId: $id, text: $text) { id } }'
    assert.deepEqual(await refused(imported, { id: stageId, text }), [
      { field: 'text', message: 'line 2 is not KEY=value' },
      { field: 'text', message: 'line 3: unexpected text after the closing "' },
      { field: 'text', message: 'line 4 is not KEY=value' },
      { field: 'text', message: "line 5: the ' is not closed" },
    ])
  })

  test('is named by REST in its own words', async () => {
    const answer = await fetch(`http://127.0.0.1:${api.port}/api/v1/apps`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'X', repo_url: 'nonsense', context_path: '/abs' }),
    })
    const { error } = (await answer.json()) as { error: { message: string; fields: FieldError[] } }
    assert.deepEqual(namesOf(error.fields), ['name', 'repo_url', 'context_path'])
    for (const field of ['name: ', 'repo_url: ', 'context_path: ']) assert.ok(error.message.includes(field))
  })

  test('an app is created with all that its production stage is to have', async () => {
    const input = {
      ...{ name: 'whole', repoUrl: REPO, domains: ['www.example.com', 'WWW.example.com'], replicas: 2 },
      ...{ healthCheck: { path: '/up' }, limits: { cpus: 0.5 } },
    }
    const { data, errors } = await api.post(CREATE, { input })
    assert.equal(errors, undefined, JSON.stringify(errors))
    const { id: _id, ...app } = data?.createApp as { id: string }
    assert.deepEqual(app, {
      name: 'whole',
      stage: {
        ...{ replicas: 2, healthCheck: { path: '/up' }, limits: { cpus: 0.5 } },
        domains: [{ host: 'www.example.com' }],
      },
      latestDeployment: { actor: 'admin', trigger: 'CREATE' },
    })
    const taken = { name: 'other', repoUrl: REPO, domains: ['www.example.com'] }
    const conflict = (await api.post(CREATE, { input: taken })).errors?.[0]
    assert.equal(conflict?.extensions.code, 'CONFLICT')
    assert.equal(conflict.extensions.field, 'domains')
    assert.deepEqual(await process.database.query(`SELECT 1 FROM app WHERE name = 'other'`), [])
  })
})
