/**
 * What can be done with a whole conversation: the entries of its menu, in the list and above it.
 */

import { download, fileName, toJson, toMarkdown } from "./files.js";
import { say } from "./language.js";

export function conversationEntries(app, conversation) {
  return [
    { label: say("rename"), act: () => app.rename(conversation) },
    {
      label: say("export_markdown"),
      act: () => download(toMarkdown(conversation), fileName(conversation, "md"), "text/markdown"),
    },
    {
      label: say("export_json"),
      act: () => download(toJson([conversation]), fileName(conversation, "json"), "application/json"),
    },
    { label: say("delete"), act: () => app.remove(conversation), danger: true },
  ];
}
