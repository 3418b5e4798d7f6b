// Starts `satdsl lsp` for .sat files, and says how to get satdsl where there is none.

import { commands, env, ExtensionContext, LogOutputChannel, window, workspace } from 'vscode';
import { LanguageClient, RevealOutputChannelOn } from 'vscode-languageclient/node';

import { findSatdsl } from './lookup';

const INSTALL = 'python -m pip install -e ".[lsp]"';
const HELP = `Set satdsl.path, or install it in a checkout of satdsl: ${INSTALL}`;

let client: LanguageClient | undefined;
let output: LogOutputChannel;
let starting: Promise<void> = Promise.resolve();

export function activate(context: ExtensionContext): Promise<void> {
  output = window.createOutputChannel('satdsl', { log: true });
  context.subscriptions.push(
    output,
    commands.registerCommand('satdsl.restart', restart),
    commands.registerCommand('satdsl.output', () => output.show()),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('satdsl.path')) void restart();
    }),
    workspace.onDidGrantWorkspaceTrust(restart),
    workspace.onDidChangeWorkspaceFolders(restart),
  );
  return restart();
}

export function deactivate(): Promise<void> | undefined {
  return client?.stop();
}

/** Stop the server where it runs, and start the one that the settings name now; one restart after the other. */
function restart(): Promise<void> {
  starting = starting.then(async () => {
    await stop();
    await start();
  });
  return starting;
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  try {
    await running?.dispose();
  } catch (problem) {
    output.warn(`the language server did not stop in time: ${problem}`);
  }
}

async function start(): Promise<void> {
  // A program that lies in the folder is run only where its author is trusted.
  const folders = (workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === 'file');
  const found = await findSatdsl({
    setting: workspace.getConfiguration('satdsl').get<string>('path', '').trim(),
    folders: workspace.isTrusted ? folders.map((folder) => folder.uri.fsPath) : [],
    path: process.env['PATH'] ?? '',
    windows: process.platform === 'win32',
  });
  if ('missing' in found) {
    output.error(`${found.missing} ${HELP}`);
    // In a folder whose author is not trusted yet, its own satdsl may well be there.
    if (!workspace.isTrusted) return;
    void complain(`${found.missing} ${HELP}`);
    return;
  }
  output.info(`starting ${found.command} lsp`);
  const server = { command: found.command, args: ['lsp'], options: { cwd: folders[0]?.uri.fsPath } };
  const starting = new LanguageClient('satdsl', 'satdsl', server, {
    documentSelector: [
      { scheme: 'file', language: 'sat' },
      { scheme: 'untitled', language: 'sat' },
    ],
    outputChannel: output,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
  });
  client = starting;
  try {
    await starting.start();
  } catch (problem) {
    client = undefined;
    output.error(`${found.command} lsp did not start: ${problem}`);
    void complain(`“${found.command} lsp” did not start; its output says why. An older satdsl has no language server.`);
  }
}

async function complain(message: string): Promise<void> {
  const answer = await window.showErrorMessage(message, 'Copy install command', 'Open setting', 'Show output');
  if (answer === 'Copy install command') await env.clipboard.writeText(INSTALL);
  if (answer === 'Open setting') await commands.executeCommand('workbench.action.openSettings', 'satdsl.path');
  if (answer === 'Show output') output.show();
}
