import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  createApp,
  deploy,
  followLog,
  graphql,
  readDeployment,
  tryGraphql,
  updateStage,
} from '../support/client.js'
import { inspectContainer } from '../support/docker.js'
import { BASE_IMAGE, TestRepository } from '../support/repository.js'
import { rotateMasterKey } from '../support/rotation.js'
import { Installation } from '../support/server.js'
import { onDatabase } from '../support/tables.js'

const [OLD, NEW] = ['a', 'b'].map((digit) => digit.repeat(64)) as [string, string]
const SCRIPT = 'echo "$GREETING" > /www/index.html; exec busybox httpd -f -p 8080 -h /www'
const APP = {
  'www/index.html': '',
  Dockerfile: `FROM ${BASE_IMAGE}\nCOPY www /www\nEXPOSE 8080\nCMD ${JSON.stringify(['/bin/busybox', 'sh', '-c', SCRIPT])}\n`,
}
/** More values than one transaction of a rotation takes. */
const MANY = 120

const DIFF = `query ($from: ID!, $to: ID!) {
  configurationDiff(from: $from, to: $to) {
    from { id } to { id } fields { field from to } variables { key change from to }
  }
}`
interface Diff {
  configurationDiff: {
    fields: { field: string; from: string | null; to: string | null }[]
    variables: { key: string; change: string; from: string | null; to: string | null }[]
  }
}

describe('secrets of a stage', () => {
  let installation: Installation
  let port = 0
  let appId = ''
  let stageId = ''
  let first = ''
  const repository = new TestRepository(APP)

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ MASTER_KEY: OLD })
    const variables = [{ key: 'GREETING', value: 'hello one' }]
    const created = await createApp(port, { name: 'secretive', repoUrl: repository.url, variables })
    appId = created.appId
    first = created.deploymentId
    await followLog(port, first)
    stageId = await updateStage(port, appId, { healthCheck: { stableSeconds: 0 } })
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  const page = async () => (await installation.fetch('secretive.localhost')).body.trim()
  const set = (variables: object[]) =>
    graphql(
      port,
      'mutation ($id: ID!, $v: [VariableInput!]!) { setVariables(stageId: $id, variables: $v) { id } }',
      {
        id: stageId,
        v: variables,
      },
    )
  const importText = (text: string) =>
    tryGraphql<{ importVariables: { variables: { key: string }[] } }>(
      port,
      'mutation ($id: ID!, $t: String!) { importVariables(stageId: $id, text: $t) { variables { key } } }',
      { id: stageId, t: text },
    )
  const deployed = async () => {
    const id = await deploy(port, appId)
    await followLog(port, id)
    return id
  }
  const diff = async (from: string, to: string) =>
    (await graphql<Diff>(port, DIFF, { from, to })).configurationDiff
  const sql = (text: string, values: unknown[] = []) => onDatabase(installation.database.url, text, values)

  test('that do not decrypt end a deployment before it replaces anything', async () => {
    const [kept] = await sql(`SELECT value_encrypted AS value FROM variable WHERE key = 'GREETING'`)
    const damaged = String(kept?.value).replace(/.{8}$/, 'AAAAAA==')
    await sql(`UPDATE variable SET value_encrypted = $1 WHERE key = 'GREETING'`, [damaged])
    const id = await deployed()
    const { status, error } = await readDeployment(port, id)
    assert.deepEqual([status, error?.code, error?.phase], ['FAILED', 'SECRET_UNREADABLE', 'CLONING'])
    assert.match(error?.message ?? '', /GREETING.*set the variable again/)
    assert.equal(await page(), 'hello one')
    assert.equal((await readDeployment(port, first)).status, 'RUNNING')
    const containers = await installation.containers()
    assert.deepEqual(containers, [`secretive-${first}`])
    await set([{ key: 'GREETING', value: 'hello two' }])
    await deployed()
    assert.equal(await page(), 'hello two')
  })

  test('are taken from the text of a .env file, whose mistakes are named by line', async () => {
    const { data } = await importText(
      '# of the shop\nexport GREETING="hello\\nthree" # two lines\n\nEXTRA=\'a "b" $c\'\n',
    )
    assert.deepEqual(
      data?.importVariables.variables.map(({ key }) => key),
      ['EXTRA', 'GREETING'],
    )
    const id = await deployed()
    const { Config } = await inspectContainer<{ Config: { Env: string[] } }>(`secretive-${id}`)
    for (const value of ['EXTRA=a "b" $c', 'GREETING=hello\nthree'])
      assert.ok(Config.Env.includes(value), value)
    const wrong = {
      'A=1\nhunter22': 'line 2 ',
      'A=1\nB="hunter22': 'line 2:',
      'A=1\n\nA=hunter22': 'line 3:',
      'A.B=hunter22': 'line 1:',
      [`A=${'x'.repeat(33 * 1024)}`]: 'line 1:',
    }
    for (const [text, where] of Object.entries(wrong)) {
      const error = (await importText(text)).errors?.[0]
      assert.deepEqual(
        [error?.extensions.code, error?.extensions.field],
        ['BAD_USER_INPUT', 'text'],
        text.slice(0, 20),
      )
      assert.ok(error?.message.startsWith(`text: ${where}`), error?.message)
      assert.ok(!error?.message.includes('hunter22'))
    }
    const four = ['A', 'B', 'C', 'D'].map((key) => `${key}=${'x'.repeat(32 * 1024)}`).join('\n')
    assert.equal((await importText(four)).errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  })

  test('and all else that a deployment runs with can be compared, and comes back with a rollback', async () => {
    await set([{ key: 'PHASED', value: 'the same' }])
    const before = await deployed()
    await set([
      { key: 'GREETING', value: 'hello four' },
      { key: 'ADDED', value: 'new' },
      { key: 'PHASED', value: 'the same', buildSecret: true },
    ])
    await graphql(port, 'mutation ($id: ID!) { unsetVariables(stageId: $id, keys: ["EXTRA"]) { id } }', {
      id: stageId,
    })
    const input = { limits: { cpus: 0.5, memoryBytes: 64 * 1024 * 1024 }, healthCheck: { path: '/' } }
    const UPDATE =
      'mutation ($id: ID!, $input: UpdateStageInput!) { updateStage(id: $id, input: $input) { id } }'
    await graphql(port, UPDATE, { id: stageId, input })
    const sha = repository.commit({ 'www/other.html': 'other' })
    const changed = await deployed()
    const { fields, variables } = await diff(before, changed)
    const byField = Object.fromEntries(fields.map(({ field, from, to }) => [field, [from, to]]))
    assert.equal(byField.commitSha?.[1], sha)
    delete byField.commitSha
    assert.deepEqual(byField, {
      'limits.cpus': ['1', '0.5'],
      'limits.memoryBytes': [String(512 * 1024 * 1024), String(64 * 1024 * 1024)],
      'healthCheck.path': [null, '/'],
    })
    assert.deepEqual(
      variables.map(({ key, change }) => [key, change]),
      [
        ['ADDED', 'ADDED'],
        ['EXTRA', 'REMOVED'],
        ['GREETING', 'CHANGED'],
        ['PHASED', 'CHANGED'],
      ],
    )
    assert.ok(
      variables.every(({ from, to }) =>
        [from, to].every((print) => print === null || /^[0-9a-f]{16}$/.test(print)),
      ),
    )
    assert.equal(await page(), 'hello four')

    const ROLLBACK = 'mutation ($id: ID!, $to: ID!) { rollback(appId: $id, toDeploymentId: $to) { id } }'
    const { rollback } = await graphql<{ rollback: { id: string } }>(port, ROLLBACK, {
      id: appId,
      to: before,
    })
    await followLog(port, rollback.id)
    assert.equal(await page(), 'hello\nthree')
    assert.deepEqual(await diff(before, rollback.id), {
      from: { id: before },
      to: { id: rollback.id },
      fields: [],
      variables: [],
    })
    const { HostConfig } = await inspectContainer<{ HostConfig: { NanoCpus: number } }>(
      `secretive-${rollback.id}`,
    )
    assert.equal(HostConfig.NanoCpus, 1e9)
  })

  test('are not compared between apps, nor before there is anything to compare', async () => {
    const other = await createApp(port, { name: 'other', repoUrl: `${repository.url}-none` })
    await followLog(port, other.deploymentId)
    const refusals = await Promise.all(
      [
        [first, other.deploymentId],
        [first, 'nobody'],
        ['nobody', first],
      ].map(async ([from, to]) => {
        const { errors } = await tryGraphql<Diff>(port, DIFF, { from, to })
        return [errors?.[0]?.extensions.code, errors?.[0]?.extensions.field]
      }),
    )
    assert.deepEqual(refusals, [
      ['BAD_USER_INPUT', 'to'],
      ['NOT_FOUND', 'to'],
      ['NOT_FOUND', 'from'],
    ])
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: other.appId })
  })

  test('keep a process out that has another key, and survive a change of the key that is killed half-way', async () => {
    await set([...Array(MANY).keys()].map((index) => ({ key: `MANY_${index}`, value: `value ${index}` })))
    const served = await page()
    await installation.processes.at(-1)?.stop()
    await assert.rejects(
      installation.start({ MASTER_KEY: NEW }),
      /encrypted with the key [0-9a-f]{8}.*MASTER_KEY_PREVIOUS/,
    )
    assert.equal(installation.processes.at(-1)?.child.exitCode, 2)

    assert.match(rotateMasterKey(installation, { MASTER_KEY: NEW }).output, /MASTER_KEY_PREVIOUS/)
    const keys = { MASTER_KEY: NEW, MASTER_KEY_PREVIOUS: OLD }
    const killed = rotateMasterKey(installation, { ...keys, FAILPOINT: 'rotated-batch' })
    assert.equal(killed.signal, 'SIGKILL')
    const idsOf = async () => {
      const rows = await sql(`SELECT DISTINCT split_part(value_encrypted, ':', 2) AS id FROM variable`)
      return rows.map(({ id }) => String(id))
    }
    assert.equal((await idsOf()).length, 2, 'some are done and some are not')
    const done = rotateMasterKey(installation, keys)
    assert.equal(done.code, 0, done.output)
    assert.equal((await idsOf()).length, 1)
    assert.match(rotateMasterKey(installation, keys).output, /^0 values/)

    await installation.start({ MASTER_KEY: NEW })
    assert.equal(await page(), served)
    const ROLLBACK = 'mutation ($id: ID!, $to: ID!) { rollback(appId: $id, toDeploymentId: $to) { id } }'
    const { rollback } = await graphql<{ rollback: { id: string } }>(port, ROLLBACK, { id: appId, to: first })
    await followLog(port, rollback.id)
    assert.equal(await page(), 'hello one')
    await assert.rejects(installation.start({ MASTER_KEY: OLD, ROLES: 'worker' }), /encrypted with the key/)
  })
})
