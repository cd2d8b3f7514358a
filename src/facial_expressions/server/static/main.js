// The page of a server: its answers come from the same address.

import { start } from "./app.js";
import { remoteRecognizer } from "./recognizer.js";

start(remoteRecognizer());
