"""The model leaves the workshop: a Hugging Face folder, GGUF files checked in llama.cpp, completions."""
