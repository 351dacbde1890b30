import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { createApp, graphql, tryGraphql, updateStage } from '../support/client.js'
import {
  COMMIT_STATUS,
  CREATE,
  DEPLOY,
  DOMAIN,
  IMPORT,
  SET,
  STAGE,
  UPDATE_APP,
  UPDATE_STAGE,
} from '../support/mutations.js'
import { Installation } from '../support/server.js'
import { PWNED, SHELL } from '../support/shell-exploits.js'

/** One field of one mutation that takes a user's text. */
interface Field {
  readonly field: string
  readonly query: string
  readonly variables: (text: string) => object
}

/** The numbers are those of the classes in which the published vulnerabilities of such systems fall. */
describe('the shapes of published exploits, as input,', () => {
  let installation: Installation
  let port = 0
  let appId = ''
  let stageId = ''
  const repoUrl = 'https://git.example.com/x'
  const repository = 'team/x'

  before(async () => {
    rmSync(PWNED, { force: true })
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ROLES: 'api' })
    appId = (await createApp(port, { name: 'target', repoUrl, deploy: false })).appId
    stageId = await updateStage(port, appId, {})
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    rmSync(PWNED, { force: true })
  })

  const createInput = (patch: object) => ({ input: { name: 'fresh', repoUrl, deploy: false, ...patch } })
  const names: readonly Field[] = [
    { field: 'name', query: CREATE, variables: (name) => createInput({ name }) },
    { field: 'repoUrl', query: CREATE, variables: (url) => createInput({ repoUrl: url }) },
    {
      field: 'repoUrl',
      query: CREATE,
      variables: (path) => createInput({ repoUrl: `https://git.example.com/${path}` }),
    },
    { field: 'repoUrl', query: CREATE, variables: (host) => createInput({ repoUrl: `ssh://git@${host}/x` }) },
    { field: 'repoUrl', query: UPDATE_APP, variables: (url) => ({ id: appId, input: { repoUrl: url } }) },
    { field: 'name', query: STAGE, variables: (name) => ({ id: appId, name }) },
    { field: 'host', query: DOMAIN, variables: (host) => ({ id: stageId, host }) },
    { field: 'variables[0].key', query: SET, variables: (key) => ({ id: stageId, v: [{ key, value: '' }] }) },
    ...['target', 'platform'].flatMap((field) => [
      { field, query: CREATE, variables: (text: string) => createInput({ [field]: text }) },
      { field, query: UPDATE_APP, variables: (text: string) => ({ id: appId, input: { [field]: text } }) },
    ]),
    {
      field: 'buildArgs[0].key',
      query: CREATE,
      variables: (key) => createInput({ buildArgs: [{ key, value: '' }] }),
    },
    { field: 'repository', query: COMMIT_STATUS, variables: (text) => ({ id: appId, repository: text }) },
    {
      field: 'repository',
      query: COMMIT_STATUS,
      variables: (text) => ({ id: appId, repository: `team/${text}` }),
    },
    { field: 'apiUrl', query: COMMIT_STATUS, variables: (api) => ({ id: appId, repository, api }) },
    {
      field: 'apiUrl',
      query: COMMIT_STATUS,
      variables: (text) => ({ id: appId, repository, api: `https://git.example.com/${text}` }),
    },
    { field: 'text', query: IMPORT, variables: (key) => ({ id: stageId, text: `${key}=value` }) },
  ]

  const changedRefs: readonly Field[] = [
    { field: 'branch', query: UPDATE_APP, variables: (branch) => ({ id: appId, input: { branch } }) },
    { field: 'branch', query: UPDATE_STAGE, variables: (branch) => ({ id: stageId, input: { branch } }) },
    { field: 'ref', query: DEPLOY, variables: (ref) => ({ id: appId, input: { ref } }) },
  ]
  const newRefs: readonly Field[] = [
    { field: 'branch', query: CREATE, variables: (branch) => createInput({ branch }) },
    { field: 'branch', query: STAGE, variables: (branch) => ({ id: appId, name: 'fresh', branch }) },
  ]

  async function refuses({ field, query, variables }: Field, text: string): Promise<void> {
    const { errors } = await tryGraphql(port, query, variables(text))
    const found = [errors?.[0]?.extensions.code, errors?.[0]?.extensions.field]
    assert.deepEqual(found, ['BAD_USER_INPUT', field], `${query} with ${JSON.stringify(text)}`)
  }

  test('1: commands in names, URLs, hosts and keys are refused by field', async () => {
    for (const field of names) for (const text of SHELL) await refuses(field, text)
    assert.ok(!existsSync(PWNED))
  })

  test('1: commands in references are names that git takes, or refused by field', async () => {
    // As git has it; they are in no shell: see integration/git-refs.
    const isName = (text: string) => !/^-|[\s~^:?*[\\]/.test(text)
    const taken = SHELL.filter(isName)
    assert.ok(taken.length > 0)
    for (const text of SHELL.filter((one) => !isName(one))) {
      for (const field of [...changedRefs, ...newRefs]) await refuses(field, text)
    }
    for (const text of taken) {
      for (const { query, variables } of changedRefs) {
        assert.equal((await tryGraphql(port, query, variables(text))).errors, undefined, text)
      }
    }
    assert.ok(!existsSync(PWNED))
  })

  test('1: commands in globs are names of files and tags, or refused by field', async () => {
    const tags = (text: string) => ({ id: stageId, input: { tags: text } })
    const paths = (text: string) => ({ id: appId, input: { watchPaths: [text] } })
    for (const text of SHELL) {
      const told = async (query: string, variables: object, field: string) => {
        const { errors } = await tryGraphql(port, query, variables)
        if (!/[\n{}\\]/.test(text)) return assert.equal(errors, undefined, text)
        const found = [errors?.[0]?.extensions.code, errors?.[0]?.extensions.field]
        assert.deepEqual(found, ['BAD_USER_INPUT', field], text)
      }
      await told(UPDATE_STAGE, tags(text), 'tags')
      await told(UPDATE_APP, paths(text), 'watchPaths[0]')
    }
    const query = 'query ($id: ID!) { app(id: $id) { watchPaths stage { tags } } }'
    const last = SHELL.at(-1)
    assert.deepEqual(await graphql(port, query, { id: appId }), {
      app: { watchPaths: [last], stage: { tags: last } },
    })
    assert.ok(!existsSync(PWNED))
  })

  test('5: paths out of the repository are refused by field', async () => {
    const outside = [
      '../x',
      '/etc/passwd',
      'a/../../b',
      '..',
      './../x',
      'a\\..\\b',
      'C:\\x',
      '-f',
      'a/-v',
      'x\0',
      'x\n',
    ]
    for (const field of ['dockerfilePath', 'contextPath']) {
      const create = { field, query: CREATE, variables: (text: string) => createInput({ [field]: text }) }
      const update = {
        field,
        query: UPDATE_APP,
        variables: (text: string) => ({ id: appId, input: { [field]: text } }),
      }
      for (const text of outside) await refuses(create, text)
      for (const text of outside) await refuses(update, text)
    }
    for (const url of ['file:///srv/../etc', 'https://git.example.com/../x', 'git@git.example.com:../x']) {
      await refuses(
        { field: 'repoUrl', query: CREATE, variables: (text) => createInput({ repoUrl: text }) },
        url,
      )
    }
  })

  test('6: there is no way to ask for mounts, privileges, networks or options of a container', async () => {
    const wishes = [
      { privileged: true },
      { volumes: ['/:/host'] },
      { binds: ['/var/run/docker.sock:/var/run/docker.sock'] },
      { network: 'host' },
      { capAdd: ['SYS_ADMIN'] },
      { dockerCompose: 'services: {}' },
      { customDockerRunOptions: '--privileged' },
      { entrypoint: ['sh'] },
    ]
    for (const wish of wishes) {
      for (const [query, variables] of [
        [CREATE, createInput(wish)],
        [UPDATE_APP, { id: appId, input: wish }],
        [UPDATE_STAGE, { id: stageId, input: wish }],
        [UPDATE_STAGE, { id: stageId, input: { limits: wish } }],
      ] as const) {
        const { errors } = await tryGraphql(port, query, variables)
        const field = Object.keys(wish)[0]
        assert.deepEqual(
          [errors?.[0]?.extensions.code, errors?.[0]?.extensions.field],
          ['BAD_USER_INPUT', field],
        )
      }
    }
  })

  test('7: no type of the API has a field for a value or a key that encrypts', async () => {
    interface Type {
      readonly name: string
      readonly kind: string
      readonly fields: { name: string }[] | null
    }
    const { __schema } = await graphql<{ __schema: { types: Type[] } }>(
      port,
      '{ __schema { types { name kind fields { name } } } }',
    )
    const fields = __schema.types
      .filter(({ kind, name }) => kind === 'OBJECT' && !name.startsWith('__'))
      .flatMap(({ name, fields: all }) => (all ?? []).map((field) => `${name}.${field.name}`))
    assert.ok(fields.includes('Variable.fingerprint'))
    // Arguments of a build are public, and a webhook's secret is what its rotation gives, once.
    assert.deepEqual(
      fields.filter((field) => /\.(value|valueEncrypted|secret|plaintext|canary|masterKey)$/i.test(field)),
      ['BuildArg.value', 'WebhookSecret.secret'],
    )
    assert.deepEqual(fields.filter((field) => field.startsWith('Variable.')).sort(), [
      'Variable.buildSecret',
      'Variable.fingerprint',
      'Variable.key',
      'Variable.updatedAt',
    ])
  })

  test('13: rules in hosts and lines in keys are refused, and so are labels of an image', async () => {
    const hosts = [
      'a.example.com`) || Host(`b.example.com',
      'a.example.com`, `b.example.com',
      '*.example.com',
      'a.example.com/path',
      'a.example.com:80',
      'user@a.example.com',
      'a..example.com',
      '10.0.0.1',
      '[::1]',
      'a.example.com\nb.example.com',
      '{{ env "X" }}.example.com',
      'evil.localhost',
    ]
    const host = { field: 'host', query: DOMAIN, variables: (text: string) => ({ id: stageId, host: text }) }
    for (const text of hosts) await refuses(host, text)
    const key = {
      field: 'variables[0].key',
      query: SET,
      variables: (text: string) => ({ id: stageId, v: [{ key: text, value: '' }] }),
    }
    for (const text of ['A=B', 'A\nLD_PRELOAD', 'A\0', 'A ', ' A', '1A', '', 'A-B', 'Ａ', `A\${B}`])
      await refuses(key, text)
  })
})
