// A page of one sentence. No `vscode` here. What the sentence has of strangers' texts is text on the page.

const SIGNS: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function plainPage(sentence: string): string {
  const text = sentence.replace(/[&<>"']/g, (sign) => SIGNS[sign] ?? "");
  const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'">`;
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">${policy}</head><body><p role="status">${text}</p></body></html>`;
}
