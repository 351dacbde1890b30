import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  createApp,
  deploy,
  followLog,
  graphql,
  readDeployment,
  stageOf,
  tryGraphql,
} from '../support/client.js'
import { inspectContainer } from '../support/docker.js'
import { BASE_IMAGE, TestRepository } from '../support/repository.js'
import { Installation, until } from '../support/server.js'
import { onDatabase } from '../support/tables.js'

const MIB = 1024 * 1024

const SCRIPT = 'echo "$GREETING from $PORT" > /www/index.html; exec busybox httpd -f -p 8080 -h /www'

/** An app whose page says its variable GREETING. */
const APP = {
  'www/index.html': '',
  Dockerfile: `FROM ${BASE_IMAGE}\nCOPY www /www\nEXPOSE 8080\nCMD ${JSON.stringify(['/bin/busybox', 'sh', '-c', SCRIPT])}\n`,
}

describe('stages', () => {
  let installation: Installation
  let port = 0
  let appId = ''
  let first = ''
  const repository = new TestRepository(APP)

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start()
    const variables = [{ key: 'GREETING', value: 'hello production' }]
    const created = await createApp(port, { name: 'staged', repoUrl: repository.url, variables })
    appId = created.appId
    first = created.deploymentId
    await followLog(port, first)
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  const page = async (host: string) => (await installation.fetch(`${host}.localhost`)).body.trim()
  const createStage = (name: string, branch: string | null = null) =>
    tryGraphql<{ createStage: { id: string; url: string } }>(
      port,
      'mutation ($app: ID!, $name: String!, $branch: String) { createStage(appId: $app, name: $name, branch: $branch) { id url } }',
      { app: appId, name, branch },
    )
  const setVariables = (id: string, variables: object[]) =>
    tryGraphql<{ setVariables: { variables: { key: string; fingerprint: string }[] } }>(
      port,
      'mutation ($id: ID!, $v: [VariableInput!]!) { setVariables(stageId: $id, variables: $v) { variables { key fingerprint } } }',
      { id, v: variables },
    )

  test('have their own branch, variables and host, and take a promoted image without a build', async () => {
    repository.git('branch', 'preview')
    const { data } = await createStage('preview', 'preview')
    const stage = data?.createStage
    assert.ok(stage)
    assert.match(stage.url, /^http:\/\/preview--staged\.localhost:/)
    await setVariables(stage.id, [{ key: 'GREETING', value: 'hello preview' }])
    const id = await deploy(port, appId, { stage: 'preview' })
    await followLog(port, id)
    assert.equal(await page('preview--staged'), 'hello preview from 8080')
    assert.equal(await page('staged'), 'hello production from 8080')

    // What was built is what was built, whatever the app says since.
    const UPDATE =
      'mutation ($id: ID!, $target: String) { updateApp(id: $id, input: { target: $target }) { id } }'
    await graphql(port, UPDATE, { id: appId, target: 'another' })
    const PROMOTE = 'mutation ($id: ID!) { promote(deploymentId: $id, stage: "production") { id trigger } }'
    const { promote } = await graphql<{ promote: { id: string; trigger: string } }>(port, PROMOTE, { id })
    const log = (await followLog(port, promote.id)).map((event) => event.text).join('')
    assert.match(log, /without a build/)
    assert.equal(promote.trigger, 'PROMOTE')
    assert.equal(await page('staged'), 'hello production from 8080')
    const imageOf = async (name: string) => (await inspectContainer<{ Image: string }>(name)).Image
    assert.equal(await imageOf(`staged-${promote.id}`), await imageOf(`staged-${id}`))
    const DIFF =
      'query ($from: ID!, $to: ID!) { configurationDiff(from: $from, to: $to) { fields { field } } }'
    const { configurationDiff } = await graphql<{ configurationDiff: { fields: { field: string }[] } }>(
      port,
      DIFF,
      {
        from: id,
        to: promote.id,
      },
    )
    // Of the stage, not of the image.
    assert.deepEqual(
      configurationDiff.fields.map(({ field }) => field),
      ['branch'],
    )
    await graphql(port, UPDATE, { id: appId, target: null })

    const gone = 'mutation ($id: ID!) { deleteStage(id: $id) }'
    assert.deepEqual(await graphql(port, gone, { id: stage.id }), { deleteStage: true })
    await until(async () => (await installation.fetch('preview--staged.localhost')).status === 404)
    await until(async () => !(await installation.containers()).includes(`staged-${id}`))
    assert.deepEqual(await graphql(port, gone, { id: stage.id }), { deleteStage: false })
  })

  test('have their own domains, limits, check and replicas, and leave nothing when they are deleted', async () => {
    const id = (await createStage('beta', 'main')).data?.createStage.id ?? ''
    const host = 'beta.example.com'
    const ADD = `mutation ($id: ID!) { addDomain(stageId: $id, host: "${host}") { id } }`
    await graphql(port, ADD, { id })
    const change = (input: object) =>
      graphql(
        port,
        'mutation ($id: ID!, $input: UpdateStageInput!) { updateStage(id: $id, input: $input) { id } }',
        {
          ...{ id, input },
        },
      )
    const limits = { memoryBytes: 32 * MIB, cpus: 0.5, pids: 64 }
    await change({ limits, replicas: 2, healthCheck: { path: '/missing', deadlineSeconds: 3 } })
    const sick = await deploy(port, appId, { stage: 'beta' })
    await followLog(port, sick)
    assert.match((await readDeployment(port, sick)).error?.message ?? '', /GET \/missing answered 404/)
    await change({ healthCheck: { path: '/index.html', deadlineSeconds: null } })
    const beta = await deploy(port, appId, { stage: 'beta', noCache: true })
    const log = await followLog(port, beta)
    assert.equal(log.at(-1)?.end?.status, 'RUNNING', log.map((event) => event.text).join(''))
    for (const name of [host, 'beta--staged.localhost'])
      assert.equal((await installation.fetch(name)).body.trim(), 'from 8080')
    const containers = async () => (await installation.containers()).sort()
    const ofBeta = [`staged-${beta}`, `staged-${beta}-2`]
    for (const name of ofBeta) assert.deepEqual(await limitsOf(name), [32 * MIB, 5e8, 64])
    const others = (await containers()).filter((name) => !ofBeta.includes(name))
    assert.equal((await containers()).length, others.length + 2)
    for (const name of others) assert.deepEqual(await limitsOf(name), [512 * MIB, 1e9, 512])

    await graphql(port, 'mutation ($id: ID!) { deleteStage(id: $id) }', { id })
    await until(async () => (await installation.fetch(host)).status === 404)
    const rows = `SELECT id FROM deployment WHERE stage_id = $1 UNION ALL SELECT host FROM domain WHERE stage_id = $1
      UNION ALL SELECT deployment_id FROM log_stream WHERE deployment_id = ANY($2)`
    assert.deepEqual(await onDatabase(installation.database.url, rows, [id, [sick, beta]]), [])
    await until(async () => !(await containers()).some((name) => ofBeta.includes(name)))
    await graphql(port, ADD, { id: await stageOf(port, appId) })
    // The router hears of it when it is committed.
    await until(async () => (await installation.fetch(host)).status === 200)
    assert.equal((await installation.fetch(host)).body, (await installation.fetch('staged.localhost')).body)
    // Images go with the next round of housekeeping; a worker begins with one.
    const images = async () => (await installation.images()).filter((name) => name.includes(beta))
    assert.deepEqual(await images(), [`mvp-staged:${beta}`])
    await installation.start({ ROLES: 'worker', ROUTER: 'off' })
    await until(async () => (await images()).length === 0)
    assert.equal((await installation.fetch(host)).status, 200)
  })

  test('have variables that are set, kept and unset, and never shown', async () => {
    const { app } = await graphql<{ app: { stage: { id: string } } }>(
      port,
      '{ app(name: "staged") { stage { id } } }',
    )
    const { id } = app.stage
    const { data } = await setVariables(id, [{ key: 'EXTRA', value: 'a value nobody sees' }])
    assert.deepEqual(
      data?.setVariables.variables.map(({ key }) => key),
      ['EXTRA', 'GREETING'],
    )
    const again = await deploy(port, appId)
    await followLog(port, again)
    const { Config } = await inspectContainer<{ Config: { Env: string[] } }>(`staged-${again}`)
    assert.ok(Config.Env.includes('EXTRA=a value nobody sees'))
    const large = [{ key: 'LARGE', value: 'x'.repeat(32 * 1024) }]
    for (const count of [1, 2, 3]) await setVariables(id, [{ ...large[0], key: `LARGE_${count}` }])
    const refused = (await setVariables(id, [{ ...large[0], key: 'LARGE_4' }])).errors?.[0]
    assert.deepEqual([refused?.extensions.code, refused?.extensions.field], ['BAD_USER_INPUT', 'variables'])
    const UNSET =
      'mutation ($id: ID!) { unsetVariables(stageId: $id, keys: ["EXTRA", "NONE"]) { variables { key } } }'
    const left = await graphql<{ unsetVariables: { variables: { key: string }[] } }>(port, UNSET, { id })
    assert.ok(!left.unsetVariables.variables.some(({ key }) => key === 'EXTRA'))
  })

  test('are refused with names that are none, that are taken, and where they cannot go', async () => {
    for (const name of ['', 'A', '-a', 'a--b', 'x'.repeat(21)]) {
      const error = (await createStage(name)).errors?.[0]
      assert.deepEqual([error?.extensions.code, error?.extensions.field], ['BAD_USER_INPUT', 'name'], name)
    }
    assert.equal((await createStage('production')).errors?.[0]?.extensions.code, 'CONFLICT')
    const { app } = await graphql<{ app: { stage: { id: string } } }>(
      port,
      '{ app(name: "staged") { stage { id } } }',
    )
    const gone = 'mutation ($id: ID!) { deleteStage(id: $id) }'
    const kept = await tryGraphql(port, gone, { id: app.stage.id })
    assert.equal(kept.errors?.[0]?.extensions.code, 'CONFLICT')
    const PROMOTE = 'mutation ($id: ID!) { promote(deploymentId: $id, stage: "production") { id } }'
    assert.equal((await tryGraphql(port, PROMOTE, { id: first })).errors?.[0]?.extensions.code, 'CONFLICT')
    assert.equal((await readDeployment(port, first)).status, 'RETIRED')
  })
})

/** Memory, billionths of processors, and processes that a container may have. */
async function limitsOf(container: string): Promise<number[]> {
  const { HostConfig } = await inspectContainer<{
    HostConfig: { Memory: number; NanoCpus: number; PidsLimit: number }
  }>(container)
  return [HostConfig.Memory, HostConfig.NanoCpus, HostConfig.PidsLimit]
}
