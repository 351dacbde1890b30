import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { has, json, recipe } from '../support/detected.js'

const start = { scripts: { start: 'node a.js', build: 'tsc' } }
const berry = { ...start, packageManager: 'yarn@4.5.0' }

describe('the package manager of Node.js', () => {
  test('is pnpm by its lock file; what only the build needs is taken away as every pnpm understands it', () => {
    const { dockerfile } = recipe({ 'package.json': json(start), 'pnpm-lock.yaml': '' })
    has(dockerfile, [
      'RUN npm install --global pnpm@10',
      'COPY package.json pnpm-lock.yaml ./',
      'RUN CI=true pnpm install --frozen-lockfile',
      'RUN pnpm run build',
      'RUN CI=true pnpm install --frozen-lockfile --prod --ignore-scripts',
      'FROM node:24-slim',
    ])
    assert.doesNotMatch(dockerfile, /prune|ENV CI|corepack/)
  })

  test('is Yarn 1, which images have, or a later one, whose packages Node.js has to find', () => {
    const classic = recipe({ 'package.json': json(start), 'yarn.lock': '' }).dockerfile
    has(classic, ['RUN CI=true yarn install --frozen-lockfile', 'RUN yarn run build'])
    assert.doesNotMatch(classic, /corepack|global/)
    const { dockerfile, ignore } = recipe({ 'package.json': json(berry), 'yarn.lock': '' })
    has(dockerfile, [
      'RUN corepack enable',
      'ENV YARN_NODE_LINKER=node-modules YARN_ENABLE_GLOBAL_CACHE=true',
      'RUN CI=true yarn install --immutable',
    ])
    assert.ok(['.pnp.*', '.yarn/cache'].every((path) => ignore.includes(path)))
  })

  test('is not fetched each time a container starts', () => {
    const scripts = { start: 'NODE_ENV=production next start', build: 'next build' }
    for (const locks of [['pnpm-lock.yaml'], ['yarn.lock'], ['yarn.lock', '.yarnrc.yml']]) {
      const manifest = json({ scripts, dependencies: { next: '15' } })
      const { dockerfile } = recipe({
        'package.json': manifest,
        ...Object.fromEntries(locks.map((name) => [name, ''])),
      })
      const [, run = ''] = dockerfile.split(/^(?=FROM node:24-slim$)/m)
      has(run, [
        'ENV NODE_ENV=production PATH=/app/node_modules/.bin:$PATH',
        'CMD ["sh","-c","exec env NODE_ENV=production next start"]',
      ])
      assert.doesNotMatch(run, /corepack|pnpm|yarn/)
    }
  })

  test('is in the image where a script of the start calls it', () => {
    const scripts = { start: 'MANAGER migrate && node a.js', migrate: 'node m.js' }
    const of = (manager: string, locks: readonly string[]) =>
      recipe({
        'package.json': json({ scripts: { ...scripts, start: scripts.start.replace('MANAGER', manager) } }),
        ...Object.fromEntries(locks.map((name) => [name, ''])),
      }).dockerfile
    const [, pnpm = ''] = of('pnpm', ['pnpm-lock.yaml']).split(/^(?=FROM node:24-slim$)/m)
    has(pnpm, ['RUN npm install --global pnpm@10', 'CMD ["sh","-c","pnpm migrate && node a.js"]'])
    has(of('yarn', ['yarn.lock', '.yarnrc.yml']), [
      'FROM node:24-slim AS build',
      'ENV COREPACK_HOME=/opt/corepack',
      'RUN CI=true yarn install --immutable',
      'FROM node:24-slim',
      'ENV COREPACK_HOME=/opt/corepack',
      'RUN corepack enable',
      'COPY --from=build --chown=1000:1000 /opt/corepack /opt/corepack',
      'CMD ["sh","-c","yarn migrate && node a.js"]',
    ])
  })

  for (const [asked, lock, more, version] of [
    ['pnpm@9.1.4', '9.0', {}, '9.1.4'],
    ['pnpm@8.6.0+sha512.0123abc', '9.0', {}, '8.6.0'],
    ['pnpm@10.0.0-rc.1', '9.0', {}, '10.0.0-rc.1'],
    ['pnpm@latest', '9.0', {}, '9'],
    ['pnpm@9.1 && touch /evil', '6.0', {}, '8'],
    ['', '5.4', {}, '7'],
    ['', "'6.0'", {}, '8'],
    ['', "'9.0'", {}, '9'],
    ['', "'9.0'", { 'pnpm-workspace.yaml': '' }, '10'],
    ['pnpm', 'x', {}, '10'],
  ] as const) {
    test(`is pnpm ${version} for "${asked}" and a lock file of ${lock} ${json(more)}`, () => {
      const manifest = json({ ...start, packageManager: asked })
      const files = { 'package.json': manifest, 'pnpm-lock.yaml': `lockfileVersion: ${lock}\n\nsettings:\n` }
      has(recipe({ ...files, ...more }).dockerfile, [`RUN npm install --global pnpm@${version}`])
    })
  }

  test('is Bun by its lock file, where npm has none', () => {
    const setup = (version: string) =>
      `RUN npm install --global bun@${version} && { bun --version || node "$(npm root --global)/bun/install.js"; }`
    const manifest = { scripts: { build: 'x', start: 'bun run src/a.ts' }, devDependencies: { x: '1' } }
    for (const lock of ['bun.lock', 'bun.lockb']) {
      const { dockerfile } = recipe({ 'package.json': json(manifest), [lock]: '' })
      has(dockerfile, [
        setup('1'),
        `COPY package.json ${lock} ./`,
        'RUN CI=true bun install --frozen-lockfile',
        'RUN bun run build',
        'FROM node:24-slim',
        setup('1'),
        'CMD ["sh","-c","exec bun run src/a.ts"]',
      ])
    }
    const named = { ...manifest, packageManager: 'bun@1.2.3' }
    has(recipe({ 'package.json': json(named) }).dockerfile, [setup('1.2.3'), 'RUN CI=true bun install'])
    const both = { 'package.json': json(start), 'bun.lock': '', 'package-lock.json': '' }
    assert.doesNotMatch(recipe(both).dockerfile, /bun/)
  })

  test('calls git where a package is a repository', () => {
    const of = (version: string) =>
      recipe({ 'package.json': json({ ...start, dependencies: { a: version } }) }).dockerfile
    const install = /^RUN if command -v apt-get .* install .* git && rm /m
    for (const version of [
      'github:a/b',
      'git+ssh://git@x.org/b.git',
      'git://x.org/b',
      'a/b#v1',
      'https://x.org/b.git#1',
    ])
      assert.match(of(version), install, version)
    for (const version of ['^1.0.0', 'npm:b@1', 'https://x.org/b.tgz', '*', 'file:a/b', 'latest'])
      assert.doesNotMatch(of(version), install, version)
  })

  for (const [version, corepack, yarn] of [
    ['22', 'RUN corepack enable', null],
    ['25', 'RUN npm install --global --force corepack && corepack enable', null],
    [
      '26',
      'RUN npm install --global --force corepack && corepack enable',
      'RUN npm install --global --force yarn@1',
    ],
  ] as const) {
    test(`is installed where images of Node.js ${version} do not have it`, () => {
      const manifest = json({ ...start, engines: { node: version } })
      const modern = { 'package.json': manifest, 'yarn.lock': '', '.yarnrc.yml': '' }
      has(recipe(modern).dockerfile, [corepack])
      const { dockerfile } = recipe({ 'package.json': manifest, 'yarn.lock': '' })
      if (yarn === null) assert.doesNotMatch(dockerfile, /--global/)
      else has(dockerfile, [yarn, 'RUN CI=true yarn install --frozen-lockfile'])
    })
  }

  test('is installed where the name of the image does not tell its version', () => {
    const files = { 'package.json': json(berry), 'yarn.lock': '' }
    for (const node of ['node:lts-slim', 'localhost:5000/node', 'node@sha256:22ab'])
      has(recipe(files, { node }).dockerfile, [
        'RUN npm install --global --force corepack && corepack enable',
      ])
    has(recipe(files, { node: 'localhost:5000/x/node:v{version}@sha256:99' }).dockerfile, [
      'RUN corepack enable',
    ])
  })
})

describe('Prisma', () => {
  const of = (manifest: object, files: Record<string, string> = {}) =>
    recipe({ 'package.json': json({ ...start, devDependencies: { prisma: '6' }, ...manifest }), ...files })
      .dockerfile
  const schema = { 'prisma/schema.prisma': '' }
  const openssl = /^RUN if command -v apt-get .* openssl && rm -rf \S+; fi$/m

  test('has its schema when it is installed, its client before the build, and OpenSSL', () => {
    const dockerfile = of({ dependencies: { '@prisma/client': '6' } }, schema)
    has(dockerfile, [
      'COPY . .',
      'RUN CI=true npm install',
      'RUN npx prisma generate',
      'RUN npm run build',
      'RUN npm prune --omit=dev --ignore-scripts',
    ])
    for (const stage of dockerfile.split('\n\n')) assert.match(stage, openssl)
  })

  test('makes its client once, and only where its schema is found', () => {
    const generate = /^RUN npx prisma/m
    for (const scripts of [{ build: 'prisma generate && next build' }, { postinstall: 'prisma generate' }])
      assert.doesNotMatch(of({ scripts: { ...start.scripts, ...scripts } }, schema), generate)
    assert.doesNotMatch(of({}), generate)
    const client = { devDependencies: {}, dependencies: { '@prisma/client': '6' } }
    assert.doesNotMatch(of(client, schema), generate, 'npx would fetch another version')
  })

  test('keeps its client from managers that would take it away', () => {
    for (const [lock, version] of [
      ['pnpm-lock.yaml', '--prod'],
      ['yarn.lock', '--production'],
    ] as const)
      assert.ok(!of({}, { ...schema, [lock]: '' }).includes(version), lock)
  })
})
