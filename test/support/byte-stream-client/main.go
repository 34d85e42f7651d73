// Reads and writes by google.bytestream with the client that Google publishes, and with stubs that it generated.
//
//	byte-stream-client write ADDRESS TOKEN NAME < bytes
//	byte-stream-client read ADDRESS TOKEN NAME > bytes
//	byte-stream-client resume ADDRESS TOKEN NAME < bytes
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	bytestream "google.golang.org/api/transport/bytestream"
	pb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const chunkBytes = 1 << 20

func main() {
	command, address, token, name := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		end(err)
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	switch command {
	case "write":
		end(write(ctx, connection, name))
	case "read":
		end(read(ctx, connection, name))
	case "resume":
		end(resume(ctx, pb.NewByteStreamClient(connection), name))
	}
}

func end(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func write(ctx context.Context, connection *grpc.ClientConn, name string) error {
	writer, err := bytestream.NewClient(connection).NewWriter(ctx, name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(writer, os.Stdin); err != nil && err != io.EOF {
		return err
	}
	return writer.Close()
}

func read(ctx context.Context, connection *grpc.ClientConn, name string) error {
	reader, err := bytestream.NewClient(connection).NewReader(ctx, name)
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, reader)
	return err
}

// Resumes at the committed size, and prints it.
func resume(ctx context.Context, client pb.ByteStreamClient, name string) error {
	answer, err := client.QueryWriteStatus(ctx, &pb.QueryWriteStatusRequest{ResourceName: name})
	if err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	offset := answer.GetCommittedSize()
	fmt.Println(offset)
	if _, err := io.CopyN(io.Discard, os.Stdin, offset); err != nil {
		return err
	}
	stream, err := client.Write(ctx)
	if err != nil {
		return err
	}
	buffer := make([]byte, chunkBytes)
	for {
		n, err := io.ReadFull(os.Stdin, buffer)
		finish := err == io.EOF || err == io.ErrUnexpectedEOF
		request := &pb.WriteRequest{ResourceName: name, WriteOffset: offset, Data: buffer[:n], FinishWrite: finish}
		if sendErr := stream.Send(request); sendErr != nil && sendErr != io.EOF {
			return sendErr
		} else if finish || sendErr == io.EOF {
			break
		}
		offset += int64(n)
	}
	_, err = stream.CloseAndRecv()
	return err
}
