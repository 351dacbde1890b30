import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { has, json, problem, recipe } from '../support/detected.js'

function dockerfileOf(manifest: object, files: Record<string, string> = {}): string {
  return recipe({ 'package.json': json(manifest), ...files }).dockerfile
}

const PRUNE = /^RUN npm prune/m
const PAGES = /COPY --from=build \/app\/(?:dist|build|out)\/ \/www\//

const DEVELOPMENT = [
  ...['vite', 'vite --host', 'vite dev', 'vite preview', 'npx vite@5', 'yarn vite', 'vite serve --port 80'],
  ...['ng serve', 'parcel index.html', 'parcel', 'docusaurus start', 'astro dev', 'nuxt dev', 'nuxi preview'],
  ...[
    'react-scripts start',
    'react-scripts --openssl-legacy-provider start',
    'PORT=3006 react-scripts start',
  ],
  ...[
    'cross-env X=1 Y="a b" react-scripts start',
    'craco start',
    'react-app-rewired start',
    'env A=1 craco start',
  ],
  ...['npm run dev', 'yarn dev', 'pnpm run develop', 'npm run develop -- --open', 'npm run -s dev'],
  ...[
    'webpack serve --mode development',
    'webpack-dev-server --hot',
    'webpack-cli serve',
    'eleventy --serve',
  ],
  ...['npx @11ty/eleventy --serve', 'vue-cli-service serve', 'gatsby develop -H 0.0.0.0', 'next dev', 'next'],
  ...[
    'dotenv -e .env.local -- vite',
    'node --max-old-space-size=99 ./node_modules/@angular/cli/bin/ng.js serve',
  ],
  ...['./node_modules/.bin/ng serve', 'npm run css & react-scripts start', 'echo a && vite'],
]
const PRODUCTION = [
  ...['vite-node a.ts', 'vite build && node a.js', 'parcel build && node a.js', 'vite preview --port $PORT'],
  ...['next start', 'nuxt start', 'node vite', 'node server.js dev', 'npm run loop', 'npm run elsewhere'],
  ...[
    'npm run dev --prefix server',
    'npm --workspace api run dev',
    'cd server && npm run dev',
    'gatsby serve',
  ],
  ...['serve -s build', 'NODE_ENV=production node .', 'webpack && node a.js', 'constructor', 'eleventy', ';'],
]

describe('the start of Node.js', () => {
  test('of NestJS is start:prod, for which nothing is compiled again', () => {
    const scripts = { build: 'nest build', start: 'nest start', 'start:prod': 'node dist/main' }
    const dockerfile = dockerfileOf({ scripts, devDependencies: { '@nestjs/cli': '11' } })
    has(dockerfile, ['RUN npm prune --omit=dev --ignore-scripts', 'CMD ["node","dist/main"]'])
  })

  for (const [start, packages] of [
    ['nest start', ['@nestjs/cli']],
    ['tsx src/index.ts', ['tsx']],
    ['NODE_ENV=production tsx src/index.ts', ['tsx']],
    ['node -r ts-node/register src/index.ts', ['ts-node']],
    ['node --import @swc-node/register src/index.ts', ['@swc-node/register']],
    ['vite preview --host --port $PORT', ['vite']],
    ['cross-env NODE_ENV=production nest start', ['@nestjs/cli']],
    ['npm run migrate && node a.js', ['knex']],
    ['./node_modules/.bin/nest start', ['@nestjs/cli']],
  ] as const) {
    test(`keeps the packages of the build that "${start}" needs`, () => {
      const scripts = { build: 'x', migrate: 'knex migrate:latest', start }
      const dependencies = { 'cross-env': '7' }
      const devDependencies = Object.fromEntries(packages.map((name) => [name, '1']))
      assert.doesNotMatch(dockerfileOf({ scripts, dependencies, devDependencies }), PRUNE)
      assert.match(dockerfileOf({ scripts, dependencies }), PRUNE, 'there is nothing to keep')
    })
  }

  for (const start of [
    'node dist/main.js',
    'next start',
    'exec next start -p $PORT',
    'remix-serve build/server',
    'NODE_ENV=production node .',
    'npx prisma migrate deploy && node a.js',
  ]) {
    test(`takes away what "${start}" does not need`, () => {
      const dependencies = { next: '15', '@remix/serve': '2', prisma: '6' }
      assert.match(dockerfileOf({ scripts: { start }, dependencies, devDependencies: { tsx: '4' } }), PRUNE)
    })
  }

  test('that a Procfile gives to a script is the script itself', () => {
    const scripts = { start: 'nodemon a.js', serve: 'node a.js', migrate: 'node m.js' }
    const of = (Procfile: string) =>
      dockerfileOf({ scripts, devDependencies: { nodemon: '3' } }, { Procfile })
    for (const line of ['npm run serve', 'exec yarn serve']) {
      has(of(`web: ${line}`), ['CMD ["node","a.js"]'])
      assert.match(of(`web: ${line}`), PRUNE)
    }
    assert.doesNotMatch(of('web: npm start'), PRUNE)
    has(of('web: npm run migrate && npm run serve'), ['CMD ["sh","-c","npm run migrate && npm run serve"]'])
    has(of('web: npm install'), ['CMD ["sh","-c","exec npm install"]'])
  })

  test('of Nuxt is what its build makes, or pages where it makes those', () => {
    const nuxt = { dependencies: { nuxt: '4' } }
    for (const scripts of [{ build: 'nuxt build' }, { build: 'nuxt build', start: 'nuxt preview' }])
      has(dockerfileOf({ ...nuxt, scripts }), ['CMD ["node",".output/server/index.mjs"]'])
    has(dockerfileOf({ ...nuxt, scripts: { build: 'nuxt generate' } }), [
      'COPY --from=build /app/.output/public/ /www/',
    ])
  })

  test('of SvelteKit depends on its adapter', () => {
    const scripts = { build: 'vite build', start: 'vite preview' }
    const of = (adapter: string) => ({ scripts, devDependencies: { '@sveltejs/kit': '2', [adapter]: '5' } })
    has(dockerfileOf(of('@sveltejs/adapter-node')), ['CMD ["node","build"]'])
    has(dockerfileOf(of('@sveltejs/adapter-static')), ['COPY --from=build /app/build/ /www/'])
    const auto = { 'package.json': json(of('@sveltejs/adapter-auto')) }
    assert.match(problem(auto), /adapter-node.*adapter-static/)
    has(dockerfileOf({ ...of('@sveltejs/adapter-auto'), scripts: { ...scripts, start: 'node x.js' } }), [
      'CMD ["node","x.js"]',
    ])
  })

  test('is no server for development, but only that', () => {
    const scripts = { build: 'x', dev: 'vite', develop: 'npm run dev', loop: 'npm run loop' }
    for (const start of DEVELOPMENT) {
      assert.match(dockerfileOf({ scripts: { ...scripts, start } }), PAGES, start)
      assert.doesNotMatch(dockerfileOf({ scripts: { start } }), PAGES, 'there is nothing else')
    }
    for (const start of PRODUCTION)
      assert.doesNotMatch(dockerfileOf({ scripts: { ...scripts, start } }), PAGES, start)
  })

  test('is no file of the pages that a server for development shows', () => {
    const scripts = { start: 'react-scripts start', build: 'react-scripts build' }
    const manifest = { scripts, main: 'src/index.js' }
    const files = { 'src/index.js': '', 'index.js': '' }
    assert.match(dockerfileOf(manifest, files), PAGES)
    for (const line of ['npm start', 'react-scripts start', 'exec npm run start'])
      assert.match(dockerfileOf(manifest, { ...files, Procfile: `web: ${line}` }), PAGES, line)
    has(dockerfileOf(manifest, { ...files, Procfile: 'web: node index.js' }), [
      'CMD ["sh","-c","exec node index.js"]',
    ])
  })

  test('is a file of JavaScript, if it is named by `main`', () => {
    has(dockerfileOf({ main: './lib/a.mjs' }, { 'lib/a.mjs': '' }), ['CMD ["node","lib/a.mjs"]'])
    assert.match(problem({ 'package.json': json({ main: 'a.ts' }), 'a.ts': '' }), /no "start" script/)
  })

  test('of Next.js is its own server, or pages where it exports those', () => {
    const of = (scripts: object, config = '', name = 'next.config.js') =>
      dockerfileOf({ scripts, dependencies: { next: '15' } }, { [name]: config })
    const build = 'next build'
    for (const scripts of [{ build }, { build, start: 'next dev' }, { build, start: 'next -p 3001' }])
      has(of(scripts, '// output: "export"'), ['CMD ["sh","-c","exec next start"]'])
    for (const config of [
      `{ output: 'export' }`,
      'a,\n  "output": "export",',
      `x.output = 1, {output:\`export\`}`,
    ]) {
      for (const scripts of [{ build }, { build, start: 'next dev' }, { build, start: 'next start -p 80' }])
        has(of(scripts, config, 'next.config.mjs'), ['COPY --from=build /app/out/ /www/'])
      const started = { scripts: { build, start: 'next start' }, dependencies: { next: '15' } }
      const files = { 'next.config.js': config, Procfile: 'web: npm start' }
      has(dockerfileOf(started, files), ['COPY --from=build /app/out/ /www/'])
      has(of({ build, start: 'node server.js' }, config), ['CMD ["node","server.js"]'])
    }
    has(of({ build: 'next build && next export' }), ['COPY --from=build /app/out/ /www/'])
  })

  test('of Next.js keeps TypeScript, which reads its configuration', () => {
    const scripts = { build: 'next build', start: 'next start' }
    const manifest = { scripts, dependencies: { next: '15' }, devDependencies: { typescript: '5' } }
    for (const name of ['next.config.ts', 'next.config.mts'])
      assert.doesNotMatch(dockerfileOf(manifest, { [name]: '' }), PRUNE)
    assert.match(dockerfileOf(manifest, { 'next.config.mjs': '' }), PRUNE)
  })
})

describe('pages that Node.js makes', () => {
  const angular = (options: object, builder = '@angular/build:application') => {
    const architect = { build: { builder, options } }
    const projects = { lib: { projectType: 'library' }, site: { projectType: 'application', architect } }
    return { 'angular.json': json({ version: 1, projects }) }
  }
  const manifest = { scripts: { start: 'ng serve', build: 'ng build' } }

  for (const [options, builder, folder] of [
    [{ outputPath: 'dist/shop' }, '@angular-devkit/build-angular:browser', 'dist/shop'],
    [{ outputPath: './dist/shop/' }, '@angular-devkit/build-angular:application', 'dist/shop/browser'],
    [{ outputPath: { base: 'out', browser: '' } }, '@angular/build:application', 'out'],
    [{ outputPath: { base: 'out', browser: 'web' } }, '@angular/build:application', 'out/web'],
    [{}, '@angular/build:application', 'dist/site/browser'],
    [{ outputPath: '../out' }, '@angular/build:application', 'dist'],
    [{ outputPath: 'a /\nRUN touch /evil' }, '@angular/build:application', 'dist'],
  ] as const) {
    test(`of Angular are where angular.json says: ${json(options)}`, () => {
      has(dockerfileOf(manifest, angular(options, builder)), [
        'RUN npm run build',
        `RUN test -f ${folder}/index.html || { echo 'the build made no ${folder}/index.html: add a start script or a Dockerfile'; exit 1; }`,
        `COPY --from=build /app/${folder}/ /www/`,
      ])
    })
  }

  test('of Angular are guessed at where angular.json tells nothing', () => {
    for (const text of ['', '{', '[]', '{"projects":{"a":{"projectType":"library"}}}', '{"projects":3}'])
      assert.match(dockerfileOf(manifest, { 'angular.json': text }), /\/app\/dist\/ /)
  })
})
