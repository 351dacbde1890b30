import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { createApp, deploy, followLog, readDeployment } from '../support/client.js'
import { GitServers, LOGIN, missingGitServers } from '../support/git-servers.js'
import { LfsServer, missingGitLfs, oidOf, pushWithLfs } from '../support/lfs-server.js'
import { TestRepository, webApp } from '../support/repository.js'
import { Installation } from '../support/server.js'

const skip = missingGitServers() || missingGitLfs()

test(
  'a page that Git LFS keeps is served, and never its pointer, and so is one of a private submodule',
  { skip },
  async () => {
    await using servers = await GitServers.start()
    const lfs = new LfsServer(servers)
    const app = webApp('the page itself')
    const repository = new TestRepository({}, join(servers.root, 'private/code'))
    await pushWithLfs(servers, repository, { path: 'private/code', pattern: '*.html', files: app })
    const module = new TestRepository({ 'page.txt': 'of a submodule' }, join(servers.root, 'private/module'))
    repository.git('config', '-f', '.gitmodules', 'submodule.m.path', 'www/module')
    repository.git('config', '-f', '.gitmodules', 'submodule.m.url', '../module')
    repository.git('add', '.gitmodules')
    const commit = module.git('rev-parse', 'HEAD')
    repository.git('update-index', '--add', '--cacheinfo', `160000,${commit},www/module`)
    repository.git('commit', '--quiet', '-m', 'add a submodule')
    assert.ok(lfs.objects.has(oidOf('the page itself')))

    await using installation = await Installation.create()
    await installation.start({ GIT_CA_FILE: join(servers.folder, 'ca/ca.pem') })
    const { port } = installation
    const repoUrl = servers.httpsUrl('private/code').replace('://', `://${LOGIN.user}:${LOGIN.password}@`)
    const { appId, deploymentId } = await createApp(port, { name: 'pictures', repoUrl })
    const log = (await followLog(port, deploymentId)).map(({ text }) => text).join('')
    assert.match(log, /^Fetching 1 Git LFS file \(0\.0 MiB\)$/m)
    assert.equal((await installation.fetch('pictures.localhost')).body, 'the page itself')
    const { body } = await installation.fetch('pictures.localhost', '/module/page.txt')
    assert.equal(body, 'of a submodule')

    repository.commit({ 'www/index.html': 'a page that nobody pushes' })
    const failed = await deploy(port, appId)
    await followLog(port, failed)
    const { error } = await readDeployment(port, failed)
    assert.equal(error?.code, 'LFS_UNAVAILABLE')
    assert.match(error.message, /"www\/index\.html".*not on the LFS server.*git lfs push --all/)
    assert.equal((await installation.fetch('pictures.localhost')).body, 'the page itself')
  },
)
