import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withSecrets } from '../../src/engine/detect/detected-build.js'
import { has, json, problem, recipe } from '../support/detected.js'

type Files = Record<string, string>

const manifest = (value: object): Files => ({ 'package.json': json(value) })
const of = (value: object, files: Files = {}) => recipe({ ...manifest(value), ...files })
const vite = { scripts: { dev: 'vite', build: 'vite build' }, devDependencies: { vite: '6' } }

describe('managers and browsers of Node.js', () => {
  test('Bun is there where a script calls it, whoever installs', () => {
    const bun = /^RUN npm install --global bun@1 /gm
    const both = of(
      { scripts: { start: 'bun run a.ts', build: 'x' } },
      { 'package-lock.json': '' },
    ).dockerfile
    assert.equal(both.match(bun)?.length, 2, both)
    const built = of({ scripts: { start: 'node a.js', build: 'bunx --bun tsup' } }).dockerfile
    assert.equal(built.match(bun)?.length, 1, built)
    assert.doesNotMatch(of({ scripts: { start: 'node bun/a.js' } }).dockerfile, bun)
    assert.match(
      of({ scripts: { start: 'node a.js', build: 'pnpm -r build' } }).dockerfile,
      /--global pnpm@10/,
    )
  })

  test('a lock file that does not fit is not kept to, and that is said', () => {
    const value = {
      scripts: { start: 'node a.js' },
      dependencies: { a: '^1.0.0' },
      devDependencies: { '@b/c': '2.0.0' },
    }
    const npm = (root: object) => ({
      'package-lock.json': `{ "lockfileVersion": 3, "packages": { "": ${json(root)}, "node_modules/a": {} } }`,
    })
    const fits = of(
      value,
      npm({ name: 'x}', dependencies: value.dependencies, devDependencies: value.devDependencies }),
    )
    has(fits.dockerfile, ['RUN CI=true npm ci'])
    assert.equal(fits.notes.length, 1)
    for (const root of [{}, { dependencies: { a: '^0.9.0', '@b/c': '2.0.0' } }]) {
      const { dockerfile, notes } = of(value, npm(root))
      has(dockerfile, ['RUN CI=true npm install'])
      assert.match(notes.join('\n'), /The lock file does not fit package\.json/)
    }
    const pnpm = (version: string) => ({
      'pnpm-lock.yaml': `lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n      a:\n        specifier: ${version}\n        version: 1.0.0\n    devDependencies:\n      '@b/c':\n        specifier: 2.0.0\n        version: 2.0.0\n\npackages:\n`,
    })
    has(of(value, pnpm('^1.0.0')).dockerfile, ['RUN CI=true pnpm install --frozen-lockfile'])
    has(of(value, pnpm('^2.0.0')).dockerfile, ['RUN CI=true pnpm install --no-frozen-lockfile'])
    for (const text of ['', '{', '{"lockfileVersion":1}', '{"packages":{"":{"a":'])
      has(of(value, { 'package-lock.json': text }).dockerfile, ['RUN CI=true npm ci'])
  })

  test('browsers come with their libraries, unless they are for tests', () => {
    const start = { scripts: { start: 'node a.js' } }
    const puppeteer = of({ ...start, dependencies: { puppeteer: '24' } }).dockerfile
    has(puppeteer, [
      'ENV PUPPETEER_SKIP_DOWNLOAD=true',
      'RUN CI=true npm install',
      'ENV PUPPETEER_SKIP_DOWNLOAD=true PUPPETEER_EXECUTABLE_PATH=/usr/bin/chromium',
      'USER 1000:1000',
    ])
    assert.match(puppeteer, /install -y --no-install-recommends chromium fonts-liberation /)
    const playwright = of({ ...start, dependencies: { playwright: '1' } }).dockerfile
    has(playwright, [
      'ENV PLAYWRIGHT_BROWSERS_PATH=/opt/browsers',
      'RUN npx playwright install --with-deps chromium',
      'USER 1000:1000',
    ])
    assert.doesNotMatch(
      of({ ...start, devDependencies: { playwright: '1', puppeteer: '24' } }).dockerfile,
      /PLAYWRIGHT|chromium/,
    )
  })
})

describe('a workspace of Node.js', () => {
  const api = {
    name: 'api',
    scripts: { start: 'node dist/a.js', build: 'tsc' },
    dependencies: { shared: 'workspace:*' },
  }
  const files: Files = {
    'package.json': json({ private: true, workspaces: ['apps/*', 'packages/*'] }),
    'apps/api/package.json': json(api),
    'packages/shared/package.json': json({
      name: 'shared',
      scripts: { build: 'tsc' },
      dependencies: { base: '*' },
    }),
    'packages/base/package.json': json({ name: 'base', scripts: { build: 'tsc' } }),
    'packages/other/package.json': json({ name: 'other', scripts: { build: 'tsc' } }),
  }

  test('is built from its root, what a package needs before it, and started in its folder', () => {
    const { dockerfile, notes } = recipe(files)
    has(dockerfile, [
      'COPY . .',
      'RUN CI=true npm install',
      'RUN cd packages/base && npm run build',
      'RUN cd packages/shared && npm run build',
      'WORKDIR /app/apps/api',
      'RUN npm run build',
      'COPY --from=build --chown=1000:1000 /app ./',
      'WORKDIR /app/apps/api',
      'CMD ["node","dist/a.js"]',
    ])
    assert.doesNotMatch(dockerfile, /packages\/other|prune/)
    assert.match(notes.join('\n'), /^apps\/api is deployed, built from the root/m)
  })

  test('is built by its own script, by pnpm or Yarn, where it has these', () => {
    const turbo = {
      ...files,
      'package.json': json({ workspaces: { packages: ['apps/*'] }, scripts: { build: 'turbo run build' } }),
      'yarn.lock': '',
    }
    const dockerfile = recipe(turbo).dockerfile
    has(dockerfile, ['RUN yarn run build', 'WORKDIR /app/apps/api', 'CMD ["node","dist/a.js"]'])
    assert.equal(dockerfile.match(/run build/g)?.length, 1)
    const pnpm = {
      ...files,
      'package.json': json({ private: true }),
      'pnpm-workspace.yaml': 'packages:\n  - "apps/**"\n  - packages/* \n',
      'pnpm-lock.yaml': '',
    }
    has(recipe(pnpm).dockerfile, [
      'RUN cd packages/shared && pnpm run build',
      'WORKDIR /app/apps/api',
      'RUN pnpm run build',
    ])
  })

  test('has pages where the package makes these', () => {
    const web = {
      ...files,
      'apps/api/package.json': json({ name: 'web', ...vite }),
      'apps/api/index.html': '',
    }
    has(recipe(web).dockerfile, [
      'WORKDIR /app/apps/api',
      'RUN npm run build',
      'COPY --from=build /app/apps/api/dist/ /www/',
    ])
  })

  test('of several programs takes the one whose name says that it serves, or names them', () => {
    const more = { ...files, 'apps/worker/package.json': json({ scripts: { start: 'node w.js' } }) }
    has(recipe(more).dockerfile, ['WORKDIR /app/apps/api'])
    const both = { ...more, 'apps/web/package.json': json({ scripts: { start: 'node w.js' } }) }
    assert.match(
      problem(both),
      /several packages .*\(apps\/api, apps\/web, apps\/worker\): add a "start" script/,
    )
    has(
      recipe({ ...both, 'package.json': json({ workspaces: ['apps/*'], scripts: { start: 'node x.js' } }) })
        .dockerfile,
      ['CMD ["node","x.js"]'],
    )
  })
})

describe('the next build of Node.js', () => {
  const next = { scripts: { build: 'next build', start: 'next start' }, dependencies: { next: '15' } }
  const mount = (path: string, folder = '/app') =>
    `--mount=type=cache,id=app-x1-${path.replace(/\W+/g, '-')},target=${folder}/${path},sharing=locked `

  test('finds the cache of the framework, and of no other app', () => {
    for (const [name, path] of [
      ['next', '.next/cache'],
      ['@angular/cli', '.angular/cache'],
      ['astro', 'node_modules/.astro'],
      ['react-scripts', 'node_modules/.cache'],
    ] as const) {
      const value = { scripts: { build: 'x' }, dependencies: { [name]: '1' } }
      has(recipe(manifest(value), { cache: 'app-x1' }).dockerfile, [`RUN ${mount(path)}npm run build`])
      assert.doesNotMatch(of(value).dockerfile, /--mount/, 'the classic builder has none')
    }
    const none = { scripts: { build: 'x', start: 'node a.js' } }
    assert.doesNotMatch(recipe(manifest(none), { cache: 'app-x1' }).dockerfile, /--mount/)
  })

  test('has build secrets as well', () => {
    const { dockerfile } = recipe(manifest(next), { cache: 'app-x1' })
    has(withSecrets(dockerfile, ['A']), [
      `RUN --mount=type=secret,id=A ${mount('.next/cache')}export A="$(cat /run/secrets/A)" && npm run build`,
    ])
  })

  test('of a workspace is in the folder of the package', () => {
    const files = { ...manifest({ workspaces: ['apps/*'] }), 'apps/web/package.json': json(next) }
    has(recipe(files, { cache: 'app-x1' }).dockerfile, [
      `RUN ${mount('.next/cache', '/app/apps/web')}npm run build`,
    ])
  })
})
